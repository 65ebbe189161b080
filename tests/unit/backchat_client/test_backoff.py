"""Delays before a retry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backchat_client.state.backoff import LONGEST, RECONNECT_LONGEST, delay, reconnect_delay


@given(st.integers(0, 10_000), st.floats(0, 600), st.floats(0, 1, exclude_max=True))
def test_delay_is_between_retry_after_and_the_maximum(failures: int, retry_after: float, random: float) -> None:
    """`retry_after` is the minimum; the kit's own delay has a maximum."""
    assert retry_after <= delay(failures, retry_after, random) <= max(retry_after, LONGEST) * 1.5
    assert retry_after <= reconnect_delay(failures, retry_after, random) <= retry_after + RECONNECT_LONGEST


def test_delay_doubles_with_each_failure() -> None:
    """Without jitter, as in the golden scenarios."""
    assert [delay(n, 0, 0.0) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
