"""Builds the requests of the shape `native` and parses their responses. Pure.

It follows the payload that Standard Webhooks recommends: `{"type", "timestamp", "data"}`, answered with `{"text"}`, or
with server-sent events of `{"text"}` and a last event `done`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.chunks import is_done
from chatbot_worker.kinds.wire.json_text import loads

TYPE = "backchat.turn"


@dataclass(frozen=True, slots=True)
class NativePiece:
    """The content of one event of a streamed response."""

    text: str = ""
    finished: bool = False


def native_request(turn: Turn, now: datetime) -> dict[str, Any]:
    """Build a native request, with the messages of the turn's context, oldest first."""
    data = {
        "session_id": str(turn.session_id),
        "message_id": str(turn.message_id),
        "chatbot_id": turn.chatbot_id,
        "messages": [message.to_dict() for message in turn.context],
    }
    return {"type": TYPE, "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "data": data}


def native_answer(body: bytes) -> str:
    """Return the text of a native response.

    Raises:
        ReplyError: there is no text.
    """
    found = loads(body)
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise failures.broken("no text in the answer")
    return text


def native_event(event: str, data: str) -> NativePiece:
    """Parse a server-sent event of a native response.

    Raises:
        ReplyError: the event is `error`, or its data contains no text.
    """
    if event == "done" or is_done(data):
        return NativePiece(finished=True)
    if event == "error":
        raise failures.broken("the webhook reported an error")
    return NativePiece(native_answer(data.encode())) if data.strip() else NativePiece()
