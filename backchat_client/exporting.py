"""Writes a session as text: JSON with everything, or Markdown to read. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from backchat_client.wire import Message, Session

WRITER = {"stopped": " (stopped)", "failed": " (failed)", "erased": " (erased)", "complete": ""}


def as_json(session: Session, messages: Sequence[Message]) -> str:
    """Return session and messages as contract.md §3.8 defines them, including superseded messages."""
    return json.dumps({"session": session, "messages": list(messages)}, ensure_ascii=False, indent=2) + "\n"


def as_markdown(session: Session, messages: Iterable[Message]) -> str:
    """Return a readable document: a heading, then each message below its sender and time; none superseded."""
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
    """Escape all Markdown in a text."""
    return "".join(f"\\{mark}" if mark in r"\`*_[]<>#|~" else mark for mark in " ".join(words.split()))


FORMS: Mapping[str, Callable[[Session, Sequence[Message]], str]] = MappingProxyType(
    {"json": as_json, "markdown": as_markdown}
)
