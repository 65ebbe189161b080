"""Asks a chatbot for one reply, and says how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from chatbot_worker.chatbots.protocol import (
    Chatbot,
    Correction,
    LengthReached,
    Piece,
    Reasoning,
    ReplyError,
    Silence,
    Turn,
)
from chatbot_worker.kinds.openai import OpenAI, OpenAIOptions, make
from shared.contracts.turns import ContextMessage
from tests.support.model_server import Wire

TIMEOUT = 20.0  # seconds


@dataclass
class Outcome:
    """The text and the reasoning of a reply, and what it raised at its end."""

    content: str = ""
    reasoning: str = ""
    error: Exception | None = None
    pieces: list[Piece] = field(default_factory=list)

    @property
    def code(self) -> str | None:
        """The code that the chat shows; none: complete."""
        if isinstance(self.error, LengthReached):
            return "length"
        if isinstance(self.error, ReplyError) and self.error.view is not None:
            return self.error.view.code
        return None if self.error is None else type(self.error).__name__

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        if isinstance(piece, Correction):
            self.content, self.reasoning = piece.content, piece.reasoning
        elif isinstance(piece, Reasoning):
            self.reasoning += piece.text
        else:
            self.content += piece


def said(*messages: tuple[str, str], session_id: UUID | None = None) -> Turn:
    """A turn: author and text of each message, the last one unanswered."""
    context = [
        ContextMessage(
            id=uuid4(),
            sender_type="chatbot" if sender.startswith("bot") else "user",
            sender_id=sender,
            content=content,
            unanswered=number == len(messages),
        )
        for number, (sender, content) in enumerate(messages, 1)
    ]
    return Turn(session_id or uuid4(), uuid4(), "bot", tuple(context))


async def ask(chatbot: Chatbot, turn: Turn | None = None) -> Outcome:
    """The outcome of one reply."""
    outcome = Outcome()
    try:
        async with asyncio.timeout(TIMEOUT):
            async for piece in chatbot.reply(turn or said(("ada", "Hi."))):
                outcome.add(piece)
    except (ReplyError, LengthReached, Silence) as error:
        outcome.error = error
    return outcome


def model(wire: Wire, **options: Any) -> OpenAI:
    """A chatbot of the kind `openai` in front of the server."""
    return make(OpenAIOptions.model_validate({"base_url": f"{wire.url}/v1", "model": "m", **options}))
