"""What is sent to a webhook and how its answer is read, in two shapes. Pure.

`rasa` is the REST channel of Rasa: `{"sender", "message"}` to a list of `{"text"}`, `{"image"}`, `{"buttons"}`.
`native` is ours, after the payload that Standard Webhooks recommends: `{"type", "timestamp", "data"}`; it is
answered with `{"text"}`, or with server-sent events of `{"text"}` and last an event `done`.
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
class Told:
    """What one event of a streaming answer says."""

    text: str = ""
    finished: bool = False


def rasa_request(turn: Turn) -> dict[str, Any]:
    """One conversation is one `sender`, so that the bot's own memory keeps them apart."""
    metadata = {"message_id": str(turn.message_id), "speakers": list(turn.speakers)}
    return {"sender": str(turn.session_id), "message": asked_without_mention(turn), "metadata": metadata}


def native_request(turn: Turn, now: datetime) -> dict[str, Any]:
    """The turn, with the messages of its context, oldest first."""
    data = {
        "session_id": str(turn.session_id),
        "message_id": str(turn.message_id),
        "chatbot_id": turn.chatbot_id,
        "messages": [message.model_dump(mode="json") for message in turn.context],
    }
    return {"type": TYPE, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}


def rasa_answer(body: bytes) -> Iterator[str]:
    """The texts of an answer, a paragraph each. Pictures stay addresses: nothing is fetched.

    Raises:
        ReplyError: it is no such list.
    """
    found = _json(body)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise failures.broken("not a list of messages")
    for number, paragraph in enumerate(filter(None, map(_paragraph, found))):
        yield ("\n\n" if number else "") + paragraph


def native_answer(body: bytes) -> str:
    """The text of an answer that came whole.

    Raises:
        ReplyError: it has none.
    """
    found = _json(body)
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise failures.broken("no text in the answer")
    return text


def native_event(event: str, data: str) -> Told:
    """What one server-sent event says; `error`, or data that is no text, fails the reply.

    Raises:
        ReplyError: so it is.
    """
    if event == "done" or data.strip() == DONE:
        return Told(finished=True)
    if event == "error":
        raise failures.broken("the webhook told an error")
    return Told(native_answer(data.encode())) if data.strip() else Told()


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
