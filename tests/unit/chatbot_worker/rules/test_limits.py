"""Attempt numbers: each new start higher than all before it, two runs of one start apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chatbot_worker.rules.attempts import attempt_number
from chatbot_worker.rules.limits import TOTAL_MAX, Limits
from chatbot_worker.turns.fairness import WAIT_MAX


@given(st.integers(1, 1_000_000), st.integers(1, 10), st.data())
def test_attempts_ascend(starts: int, attempts: int, data: st.DataObject) -> None:
    """They ascend over the retries of one start and into the next start, for any random numbers."""

    def draw(below: int) -> int:
        return data.draw(st.integers(0, below - 1))

    numbers = [attempt_number(starts, retry, attempts, draw) for retry in range(attempts)]
    numbers.append(attempt_number(starts + 1, 0, attempts, draw))
    assert numbers == sorted(set(numbers))
    assert all(number // 1000 == starts for number in numbers[:-1])


def test_turn_ends_before_the_delivery_timeout_of_the_broker() -> None:
    """30 minutes without an ack close the channel: waiting, a reply and its fallback end well before."""
    assert 2 * (WAIT_MAX + TOTAL_MAX) < 29 * 60
    assert Limits(total=TOTAL_MAX, attempts=10).total == TOTAL_MAX
    with pytest.raises(ValidationError, match="less than or equal"):
        Limits(total=TOTAL_MAX + 1)
