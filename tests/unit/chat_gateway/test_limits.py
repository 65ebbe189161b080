"""The token bucket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.limits import TokenBucket


def test_a_burst_then_the_rate() -> None:
    bucket = TokenBucket(rate=50, burst=200)
    assert [bucket.take(1.0) for _ in range(200)] == [0.0] * 200
    wait = bucket.take(1.0)
    assert 0 < wait <= 0.02
    assert bucket.take(1.0 + wait) == 0.0
    assert bucket.take(1.0 + wait) > 0


def test_a_refusal_takes_nothing() -> None:
    """Whoever keeps on trying gets the same rate as whoever waits."""
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(0.0) == 0.0
    for step in range(9):
        assert bucket.take(step / 10) > 0
    assert bucket.take(1.0) == 0.0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_never_more_than_burst_and_rate_allow(times: list[float]) -> None:
    """Whatever the clock does."""
    bucket = TokenBucket(rate=3, burst=5)
    times = sorted(times)
    taken = sum(bucket.take(now) == 0.0 for now in times)
    assert taken <= 5 + 3 * (times[-1] - times[0]) + 1e-6
