"""Deltas: which may be seen, and what the text so far is."""

from __future__ import annotations

from typing import Any

import pytest

from chat_gateway.domain.streamed_replies import ENDED_MAX, DeltaName, StreamedReplies
from chat_gateway.sessions.session_state import describe_active_replies


def take(
    replies: StreamedReplies,
    offset: int,
    text: str,
    *,
    attempt: int = 1,
    snapshot: bool = False,
    reply: str = "r",
    name: DeltaName = "message_delta",
):
    return replies.streamed("s", reply, "bot", attempt, offset, text, snapshot=snapshot, name=name)


@pytest.fixture
def replies() -> StreamedReplies:
    return StreamedReplies(text_max=1_000)


def test_deltas_add_up_in_code_points(replies: StreamedReplies) -> None:
    """In code points, not in UTF-16 units or bytes."""
    assert take(replies, 0, "a🙂") is not None
    reply = take(replies, 2, "b")
    assert reply is not None
    assert (reply.text, reply.length) == ("a🙂b", 3)


def test_repeated_delta_is_ignored(replies: StreamedReplies) -> None:
    take(replies, 0, "ab")
    assert take(replies, 0, "ab") is None
    assert replies.find("r").text == "ab"


def test_higher_attempt_replaces_the_text_and_lower_one_is_ignored(replies: StreamedReplies) -> None:
    take(replies, 0, "first", attempt=5)
    take(replies, 0, "second", attempt=9)
    assert replies.find("r").text == "second"
    assert take(replies, 5, "x", attempt=5) is None


def test_reply_with_a_missed_part_has_no_text_until_a_snapshot(replies: StreamedReplies) -> None:
    assert take(replies, 10, "end") is not None
    assert replies.find("r").text == ""
    assert not replies.find("r").whole
    take(replies, 0, "whole", snapshot=True)
    assert replies.find("r").text == "whole"
    assert take(replies, 5, "!").text == "whole!"


def test_deltas_of_a_stored_reply_are_ignored(replies: StreamedReplies) -> None:
    take(replies, 0, "a")
    replies.ended("r")
    assert take(replies, 1, "b") is None
    assert take(replies, 0, "b", attempt=99) is None
    assert replies.of_session("s") == frozenset()


def test_stored_reply_ids_are_kept_up_to_a_bound(replies: StreamedReplies) -> None:
    replies.ended("r")
    for number in range(ENDED_MAX - 1):
        replies.ended(str(number))
    assert take(replies, 0, "x") is None
    replies.ended("one more")
    assert take(replies, 0, "x") is not None


def test_text_of_all_replies_is_bounded(replies: StreamedReplies) -> None:
    """The least recently changed reply is dropped; its later deltas continue without the beginning."""
    take(replies, 0, "a" * 600, reply="old")
    take(replies, 0, "b" * 600, reply="new")
    assert replies.find("old") is None
    assert replies.find("new") is not None
    assert not take(replies, 600, "a", reply="old").whole


def test_replies_are_dropped_with_their_session(replies: StreamedReplies) -> None:
    take(replies, 0, "a")
    replies.forget_session("s")
    assert replies.find("r") is None
    assert replies._text == 0


def test_text_and_reasoning_of_a_reply_are_apart_and_end_together(replies: StreamedReplies) -> None:
    """Each has its own offsets; the stored message ends both, and neither is seen after it."""
    take(replies, 0, "I think.", name="reasoning_delta")
    take(replies, 0, "Hel")
    take(replies, 8, " More.", name="reasoning_delta")
    take(replies, 3, "lo.")
    assert replies.find("r").text == "Hello."
    assert replies.find("r", "reasoning_delta").text == "I think. More."
    assert len(replies.of_session("s")) == 2
    assert replies.has("r")
    replies.ended("r")
    assert not replies.has("r")
    assert take(replies, 14, "late", name="reasoning_delta") is None
    take(replies, 0, "x", reply="other", name="reasoning_delta")
    assert replies.has("other")
    replies.forget_session("s")
    assert not replies.has("other")


@pytest.mark.parametrize(
    ("text", "reasoning", "expected"),
    [
        (None, (5, "I think."), {"attempt": 5, "text": "", "reasoning": "I think."}),
        ((5, "Hello."), None, {"attempt": 5, "text": "Hello.", "reasoning": ""}),
        ((5, "Hello."), (5, "I think."), {"attempt": 5, "text": "Hello.", "reasoning": "I think."}),
        ((5, "Hello."), (9, "Again."), {"attempt": 9, "text": "", "reasoning": "Again."}),
        ((9, "Hello."), (5, "Old."), {"attempt": 9, "text": "Hello.", "reasoning": ""}),
        (None, None, {"attempt": 0, "text": "", "reasoning": ""}),
    ],
)
def test_active_reply_has_what_was_received_of_its_newest_attempt(
    replies: StreamedReplies, text: Any, reasoning: Any, expected: dict[str, Any]
) -> None:
    if text:
        take(replies, 0, text[1], attempt=text[0])
    if reasoning:
        take(replies, 0, reasoning[1], attempt=reasoning[0], name="reasoning_delta")
    active = {"message_id": "r", "chatbot_id": "bot"}
    assert describe_active_replies([active], replies) == [{**active, **expected}]


def test_attempt_is_that_of_text_and_reasoning_together(replies: StreamedReplies) -> None:
    """A higher attempt of the one ends the lower attempt of the other."""
    take(replies, 0, "text", attempt=1)
    assert take(replies, 0, "thinking", attempt=2, name="reasoning_delta") is not None
    assert replies.find("r") is None
    assert take(replies, 0, "text and more", attempt=1, snapshot=True) is None
    assert take(replies, 0, "new", attempt=2) is not None
    assert take(replies, 0, "late", attempt=1, snapshot=True, name="reasoning_delta") is None
