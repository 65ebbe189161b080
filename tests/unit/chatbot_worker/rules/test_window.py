"""The window: what fits of a session."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.rules.window import OVERHEAD, Bounds, outside_window, window, worth_summarizing
from shared.contracts.turns import ContextMessage, RunTurn, Summary

EACH = 10 + OVERHEAD


def messages(pattern: str) -> list[ContextMessage]:
    """Ten tokens each; a capital is unanswered."""
    return [
        ContextMessage(
            id=uuid4(), sender_type="user", sender_id=letter, content=letter * 10, unanswered=letter.isupper(), seq=seq
        )
        for seq, letter in enumerate(pattern, 11)
    ]


def shown(pattern: str, tokens: int | None) -> str:
    return "".join(message.sender_id for message in window(messages(pattern), Bounds(tokens), len))


def test_the_newest_fit() -> None:
    """The oldest go first; what is to be answered stays longest, and the newest of it in any case."""
    assert shown("abcdE", None) == "abcdE"
    assert shown("abcdE", 5 * EACH) == "abcdE"
    assert shown("abcdE", 3 * EACH) == "cdE"
    assert shown("abCdE", 3 * EACH) == "CdE"
    assert shown("abCdE", 2 * EACH) == "CE"
    assert shown("abCdE", EACH) == "E"
    assert shown("abCdE", 1) == "E"
    assert shown("", 1) == ""


@given(st.text("abcABC", max_size=30), st.integers(1, 40 * EACH))
def test_it_keeps_the_budget_and_the_order(pattern: str, tokens: int) -> None:
    """Over the budget only ever for the one message that must be there."""
    context = messages(pattern)
    kept = window(context, Bounds(tokens), len)
    assert list(kept) == [message for message in context if message in kept]
    assert len(kept) <= 1 or len(kept) * EACH <= tokens
    assert bool(kept) == bool(context)


def test_earlier_messages_have_bounds_of_their_number_and_bytes() -> None:
    """By messages and by bytes, whatever there is to answer."""

    def within(pattern: str, **bounds: int) -> str:
        return "".join(message.sender_id for message in window(messages(pattern), Bounds(**bounds), len))

    assert within("abcdE", messages=2) == "cdE"
    assert within("abCdE", messages=0) == "CE"
    assert within("abcdE", bytes=30) == "bcdE"
    assert within("abcdE", bytes=30, messages=3, tokens=2 * EACH) == "dE"


def test_next_summary_contains_messages_between_summary_and_window() -> None:
    """Messages between shown ones are summarized when the shown ones have left the window."""

    def told_of(pattern: str, summary: int | None, **bounds: int) -> str:
        context = messages(pattern)
        turn = RunTurn(
            session_id=uuid4(),
            message_id=uuid4(),
            chatbot_id="bot",
            reply_to=context[-1].id,
            starts=0,
            again=False,
            context=context,
            as_of=99,
            summary=None if summary is None else Summary(up_to_seq=summary, text="…"),
        )
        return "".join(m.sender_id for m in outside_window(turn, window(context, Bounds(**bounds), len)))

    assert told_of("abcdE", None, messages=2) == "ab"
    assert told_of("abcdE", 11, messages=2) == "b"
    assert told_of("abcdE", 14, messages=2) == ""
    assert told_of("aBcdE", None, messages=1) == "a"
    assert told_of("abcdE", None, messages=9) == ""


def test_summary_is_due_after_enough_messages_left_the_window() -> None:
    """Before anything falls out of the turns, which bring twice what is shown; and no more often than it must be."""
    assert not worth_summarizing(messages("abcdefg"), Bounds(messages=100, bytes=10_000))
    assert worth_summarizing(messages("abcdefgh"), Bounds(messages=100, bytes=10_000))
    assert worth_summarizing(messages("ab"), Bounds(messages=4, bytes=10_000))
    assert worth_summarizing(messages("abcd"), Bounds(messages=100, bytes=160))
    assert not worth_summarizing([], Bounds(messages=0, bytes=0))
