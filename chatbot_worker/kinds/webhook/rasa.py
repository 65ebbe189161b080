"""Rasa's REST channel: `{"sender", "message"}`, answered with texts, pictures, buttons and custom data. Pure.

The answer is a list, or with `?stream=true` one JSON object on each line, as they come.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from chatbot_worker.chatbots.prompt import asked_without_mention
from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.wire import failures

SESSIONS_MAX = 10_000  # whose latest buttons are kept
FIELDS = frozenset({"recipient_id", "text", "image", "attachment", "buttons", "quick_replies", "elements", "custom"})
CUSTOM_TEXTS = ("text", "message", "content", "title", "body")  # fields of custom data that are likely for people


class Buttons:
    """The buttons of each session's latest answer, so that a typed title sends the button's payload."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[UUID, dict[str, str]] = OrderedDict()

    def payload(self, session_id: UUID, said: str) -> str | None:
        """Return the payload of the button with this title; none if there is no such button."""
        return self._sessions.get(session_id, {}).get(_key(said))

    def keep(self, session_id: UUID, buttons: Mapping[str, str]) -> None:
        """Keep the buttons of the latest answer, titles and payloads."""
        self._sessions.pop(session_id, None)
        if buttons:
            self._sessions[session_id] = {_key(title): payload for title, payload in buttons.items()}
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)


class RasaAnswer:
    """One answer, message by message."""

    def __init__(self) -> None:
        self.buttons: dict[str, str] = {}
        self._paragraphs = 0
        self._custom: list[Any] = []

    @property
    def shown(self) -> bool:
        """Whether there is text for people."""
        return self._paragraphs > 0

    def take(self, message: Any) -> Iterator[str]:
        """Yield the text of a message, after a blank line if it is not the first.

        Raises:
            ReplyError: it is no message of Rasa.
        """
        if not isinstance(message, dict) or not FIELDS & message.keys():
            raise failures.broken("not a list of messages")
        self.buttons.update(_payloads(message))
        if message.get("custom"):
            self._custom.append(message["custom"])
        yield from self._paragraph(_text(message))

    def end(self) -> Iterator[str]:
        """Yield the custom data of an answer that has nothing else."""
        if not self.shown:
            for custom in self._custom:
                yield from self._paragraph(_custom(custom))

    def _paragraph(self, text: str) -> Iterator[str]:
        if text:
            yield ("\n\n" if self._paragraphs else "") + text
            self._paragraphs += 1


def rasa_request(turn: Turn, buttons: Buttons) -> dict[str, Any]:
    """Build a request. Each session is a `sender`, so that the bot keeps them separate."""
    said = asked_without_mention(turn)
    metadata = {"message_id": str(turn.message_id), "speakers": list(turn.speakers)}
    message = buttons.payload(turn.session_id, said) or said
    return {"sender": str(turn.session_id), "message": message, "metadata": metadata}


def _buttons(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for field in ("buttons", "quick_replies"):
        found = message.get(field)
        for button in found if isinstance(found, list) else ():
            if isinstance(button, dict) and isinstance(button.get("title"), str):
                yield button


def _payloads(message: Mapping[str, Any]) -> dict[str, str]:
    found = ((button["title"], button.get("payload")) for button in _buttons(message))
    return {title: payload for title, payload in found if isinstance(payload, str) and payload}


def _text(message: Mapping[str, Any]) -> str:
    lines = [message.get("text"), message.get("image"), message.get("attachment")]
    for button in _buttons(message):
        url = button.get("url")
        lines.append(f"- {button['title']}" + (f": {url}" if isinstance(url, str) else ""))
    return "\n".join(line for line in lines if isinstance(line, str) and line)


def _custom(custom: Any) -> str:
    """Return custom data as text: what looks like text for people, else the data itself as code."""
    if isinstance(custom, str):
        return custom
    if isinstance(custom, dict):
        texts = (custom.get(field) for field in CUSTOM_TEXTS)
        if (text := next((text for text in texts if isinstance(text, str) and text), None)) is not None:
            return text
    return f"```json\n{json.dumps(custom, ensure_ascii=False, indent=2)}\n```"


def _key(title: str) -> str:
    return " ".join(title.removeprefix("- ").split()).casefold()
