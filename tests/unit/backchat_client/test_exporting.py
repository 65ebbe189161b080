"""A session as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backchat_client.exporting import as_json, as_markdown
from backchat_client.wire import Message, Session

SESSION: Session = {
    "id": "s",
    "title": "Tea *and*\n# cake",
    "owner_id": "ada",
    "users": ["ada", "bob_b"],
    "chatbots": [{"id": "eliza", "name": "Eliza"}],
    "reply_policy": "mentioned",
    "seq": 0,
    "last_seq": 5,
    "created_at": "2026-11-23T09:30:00.123Z",
    "updated_at": "2026-11-23T09:30:00.123Z",
}


def message(seq: int, sender: str, content: str, **more: Any) -> Message:
    fields = {
        "id": str(seq),
        "session_id": "s",
        "seq": seq,
        "updated_seq": seq,
        "sender_type": "chatbot" if sender == "eliza" else "user",
        "sender_id": sender,
        "content": content,
        "created_at": f"2026-11-23T09:3{seq}:00.123Z",
        "client_message_id": None,
        "reply_to": None,
        "status": "complete",
        "error": None,
        "superseded_by": None,
    }
    return fields | more  # type: ignore[return-value]


MESSAGES = [
    message(1, "ada", "Which *tea*?"),
    message(2, "eliza", "Old.", superseded_by="3"),
    message(3, "eliza", "Gre", status="failed", error={"code": "timeout", "message": "It took too long."}),
    message(4, "bob_b", "", status="erased"),
]


def test_markdown_shows_what_people_see() -> None:
    """Messages as they were written; names and title escaped; nothing superseded."""
    assert as_markdown(SESSION, MESSAGES) == (
        "# Tea \\*and\\* \\# cake\n\n"
        "**ada** · 2026-11-23 09:31 UTC\n\n> Which *tea*?\n\n"
        "**Eliza** · 2026-11-23 09:33 UTC (failed)\n\n> Gre\n\nIt took too long.\n\n"
        "**bob\\_b** · 2026-11-23 09:34 UTC (erased)\n"
    )


@pytest.mark.parametrize(
    "content",
    ["# Mallory\n\nhello", "```python\nprint(1)", "<!-- hidden", "one\r\n# two\r# three", "Mallory\n====", "    code"],
)
def test_markdown_keeps_messages_apart_whatever_they_hold(content: str) -> None:
    """Each line is part of the message's quotation."""
    text = as_markdown(SESSION, [message(1, "ada", content), message(2, "ada", "next")])
    first, second = text.split("**ada**")[1:]
    assert second.endswith("UTC\n\n> next\n")
    _, body = first.split("UTC\n\n", 1)
    assert "\r" not in body
    assert all(line.startswith(">") for line in body.rstrip("\n").split("\n"))


def test_json_holds_session_and_messages() -> None:
    """The contract's own objects."""
    assert json.loads(as_json(SESSION, MESSAGES)) == {"session": SESSION, "messages": MESSAGES}
