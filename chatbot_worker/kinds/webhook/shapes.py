"""Builds the requests of webhooks and parses their responses, in two formats. Pure.

`rasa` is the REST channel of Rasa: `{"sender", "message"}`, answered with a list of `{"text"}`, `{"image"}` and
`{"buttons"}`.
`native` follows the payload that Standard Webhooks recommends: `{"type", "timestamp", "data"}`, answered with
`{"text"}`, or with server-sent events of `{"text"}` and a last event `done`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatbot_worker.chatbots.prompt import asked_without_mention
from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.chunks import DONE

TYPE = "backchat.turn"


@dataclass(frozen=True, slots=True)
class NativePiece:
    """The content of one event of a streamed response."""

    text: str = ""
    finished: bool = False


def rasa_request(turn: Turn) -> dict[str, Any]:
    """Build a request in Rasa's format. Each session is a `sender`, so that the bot keeps them separate."""
    metadata = {"message_id": str(turn.message_id), "speakers": list(turn.speakers)}
    return {"sender": str(turn.session_id), "message": asked_without_mention(turn), "metadata": metadata}


def native_request(turn: Turn, now: datetime) -> dict[str, Any]:
    """Build a native request, with the messages of the turn's context, oldest first."""
    data = {
        "session_id": str(turn.session_id),
        "message_id": str(turn.message_id),
        "chatbot_id": turn.chatbot_id,
        "messages": [message.model_dump(mode="json") for message in turn.context],
    }
    return {"type": TYPE, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}


def rasa_answer(body: bytes) -> Iterator[str]:
    """Yield the texts of a response in Rasa's format, one paragraph each. Pictures remain URLs.

    Raises:
        ReplyError: the body is no such list.
    """
    found = _json(body)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise failures.broken("not a list of messages")
    for number, paragraph in enumerate(filter(None, map(_paragraph, found))):
        yield ("\n\n" if number else "") + paragraph


def native_answer(body: bytes) -> str:
    """Return the text of a native response.

    Raises:
        ReplyError: there is no text.
    """
    found = _json(body)
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise failures.broken("no text in the answer")
    return text


def native_event(event: str, data: str) -> NativePiece:
    """Parse a server-sent event of a native response.

    Raises:
        ReplyError: the event is `error`, or its data contains no text.
    """
    if event == "done" or data.strip() == DONE:
        return NativePiece(finished=True)
    if event == "error":
        raise failures.broken("the webhook reported an error")
    return NativePiece(native_answer(data.encode())) if data.strip() else NativePiece()


def _paragraph(message: Mapping[str, Any]) -> str:
    lines = [message.get("text"), message.get("image"), message.get("attachment")]
    buttons = message.get("buttons")
    for button in buttons if isinstance(buttons, list) else ():
        title = button.get("title") if isinstance(button, dict) else None
        lines.append(f"- {title}" if isinstance(title, str) else None)
    return "\n".join(line for line in lines if isinstance(line, str) and line)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise failures.broken("not JSON") from None
