"""A session as a file: whole, as JSON, or to read, as Markdown. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from backchat_client.wire import Message, Session

WRITER = {"stopped": " (stopped)", "failed": " (failed)", "erased": " (erased)", "complete": ""}


def as_json(session: Session, messages: Sequence[Message]) -> str:
    """Both as the contract has them (§3), what was superseded included."""
    return json.dumps({"session": session, "messages": list(messages)}, ensure_ascii=False, indent=2) + "\n"


def as_markdown(session: Session, messages: Iterable[Message]) -> str:
    """What people see of it: a heading, and each message under who wrote it and when; nothing superseded."""
    names = {chatbot["id"]: chatbot["name"] for chatbot in session["chatbots"]}
    parts = [f"# {_plain(session['title'] or 'Untitled')}"]
    for message in messages:
        if message["superseded_by"] is None:
            written = message["created_at"][:16].replace("T", " ")
            name = names.get(message["sender_id"], message["sender_id"])
            parts.append(f"**{_plain(name)}** · {written} UTC{WRITER[message['status']]}")
            parts += filter(None, [message["content"], message["error"] and message["error"]["message"]])
    return "\n\n".join(parts) + "\n"


def _plain(words: str) -> str:
    """Words that are no Markdown, whatever they are."""
    return "".join(f"\\{mark}" if mark in r"\`*_[]<>#|~" else mark for mark in " ".join(words.split()))


FORMS: Mapping[str, Callable[[Session, Sequence[Message]], str]] = MappingProxyType(
    {"json": as_json, "markdown": as_markdown}
)
