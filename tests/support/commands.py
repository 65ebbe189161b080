"""Commands and chatbot cards with defaults, and commands as the bus delivers them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from persistence_worker.domain.command_batch import ReceivedCommand
from shared.contracts.commands import FinishReply, SendMessage, StartSession
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import ChatbotCard, ContextWanted
from shared.contracts.payload import Timestamp, rfc3339, utc_now
from shared.contracts.turns import RunTurn

ADA = "ada"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def card(
    name: str, *, default: bool = False, messages: int = 20, size: int = 32_768, summary: bool = False
) -> ChatbotCard:
    return ChatbotCard(
        id=name,
        name=name.title(),
        description=f"{name} for tests",
        default=default,
        immediate=True,
        context=ContextWanted(messages=messages, bytes=size, summary=summary),
    )


CARDS = [card("eliza"), card("echo", default=True, messages=0, size=0)]


def start(session_id: UUID | None = None, user: str = ADA, **more: Any) -> StartSession:
    fields = {"title": None, "chatbot_ids": None, "reply_policy": "mentioned", "created_at": NOON} | more
    return StartSession(session_id=session_id or uuid4(), user_id=user, **_on_the_wire(fields))


def send(session_id: UUID, content: str = "hello", user: str = ADA, **more: Any) -> SendMessage:
    fields = {"message_id": uuid4(), "client_message_id": None, "reply_to": None, "created_at": NOON} | more
    return SendMessage(session_id=session_id, user_id=user, content=content, **_on_the_wire(fields))


def finish(turn: RunTurn, content: str = "hello back", **more: Any) -> FinishReply:
    fields = {"attempt": 1000, "status": "complete", "error": None, "created_at": NOON} | more
    return FinishReply(
        session_id=turn.session_id,
        message_id=turn.message_id,
        chatbot_id=turn.chatbot_id,
        content=content,
        **_on_the_wire(fields),
    )


def _on_the_wire(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"created_at": rfc3339(fields["created_at"])}


def received(
    command: Any, deadline: datetime | None = None, command_id: str | None = None, *, redelivered: bool = False
) -> ReceivedCommand:
    """Encode a command in an envelope, and parse it as a consumer does."""
    known = {} if command_id is None else {"id": command_id}
    event = Event("tests", command, subject=str(command.session_id), replyto="me", deadline=deadline, **known)
    [envelope] = read_body(b"[" + event.encode() + b"]")
    return ReceivedCommand(envelope, envelope.parse(type(command)), redelivered)


def soon(seconds: float) -> datetime:
    """Return the time `seconds` from now; negative: ago."""
    return utc_now() + timedelta(seconds=seconds)


def expiry(seconds: float) -> Timestamp:
    """Return `soon(seconds)` as on the wire."""
    return rfc3339(soon(seconds))
