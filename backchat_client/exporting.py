"""Writes a session as text: JSON with everything, or Markdown to read. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from backchat_client.wire import Message, Session

_LINE_END = re.compile(r"\r\n|[\r\n]")
WRITER = {"stopped": " (stopped)", "failed": " (failed)", "erased": " (erased)", "complete": ""}


def as_json(session: Session, messages: Sequence[Message]) -> str:
    """Return session and messages as contract.md §3.8 defines them, including superseded messages."""
    return json.dumps({"session": session, "messages": list(messages)}, ensure_ascii=False, indent=2) + "\n"


def as_markdown(session: Session, messages: Iterable[Message]) -> str:
    """Return a readable document: a heading, then each message below its sender and time; none superseded.

    Each text is a quotation: its headings, open code blocks and HTML end with it.
    """
    names = {chatbot["id"]: chatbot["name"] for chatbot in session["chatbots"]}
    parts = [f"# {_plain(session['title'] or 'Untitled')}"]
    for message in messages:
        if message["superseded_by"] is None:
            written = message["created_at"][:16].replace("T", " ")
            name = names.get(message["sender_id"], message["sender_id"])
            parts.append(f"**{_plain(name)}** · {written} UTC{WRITER[message['status']]}")
            parts += filter(None, [_quoted(message["content"]), message["error"] and message["error"]["message"]])
    return "\n\n".join(parts) + "\n"


def _quoted(text: str) -> str:
    """Return a text as a block quotation; empty if it is empty."""
    return "\n".join(f"> {line}" if line else ">" for line in _LINE_END.split(text)) if text else ""


def _plain(words: str) -> str:
    """Escape all Markdown in a text."""
    return "".join(f"\\{mark}" if mark in r"\`*_[]<>#|~" else mark for mark in " ".join(words.split()))


FORMS: Mapping[str, Callable[[Session, Sequence[Message]], str]] = MappingProxyType(
    {"json": as_json, "markdown": as_markdown}
)
