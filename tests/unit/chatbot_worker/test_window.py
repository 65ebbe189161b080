"""The window: what fits of a session."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.window import OVERHEAD, window
from shared.contracts.turns import ContextMessage

EACH = 10 + OVERHEAD


def messages(pattern: str) -> list[ContextMessage]:
    """Ten tokens each; a capital is unanswered."""
    return [
        ContextMessage(
            id=uuid4(), sender_type="user", sender_id=letter, content=letter * 10, unanswered=letter.isupper()
        )
        for letter in pattern
    ]


def shown(pattern: str, tokens: int | None) -> str:
    return "".join(message.sender_id for message in window(messages(pattern), tokens, len))


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
    kept = window(context, tokens, len)
    assert list(kept) == [message for message in context if message in kept]
    assert len(kept) <= 1 or len(kept) * EACH <= tokens
    assert bool(kept) == bool(context)
