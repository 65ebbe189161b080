"""Waiting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backchat_client.state.backoff import LONGEST, RECONNECT_LONGEST, delay, reconnect_delay


@given(st.integers(0, 10_000), st.floats(0, 600), st.floats(0, 1, exclude_max=True))
def test_never_sooner_than_asked_and_never_for_ever(failures: int, retry_after: float, random: float) -> None:
    """The server's wish is a lower bound; our own waits have a ceiling."""
    assert retry_after <= delay(failures, retry_after, random) <= max(retry_after, LONGEST) * 1.5
    assert retry_after <= reconnect_delay(failures, retry_after, random) <= retry_after + RECONNECT_LONGEST


def test_doubles() -> None:
    """Without jitter, as the scenarios have it."""
    assert [delay(n, 0, 0.0) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
