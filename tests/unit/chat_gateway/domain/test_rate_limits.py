"""The token bucket and the rate limiter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain.rate_limits import DELAY_MAX, GUARANTEED_SHARE, RateLimiter, TokenBucket


def test_bucket_grants_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=50, burst=200)
    assert [bucket.take(1.0) for _ in range(200)] == [0.0] * 200
    wait = bucket.take(1.0)
    assert 0 < wait <= 0.02
    assert bucket.take(1.0 + wait) == 0.0
    assert bucket.take(1.0 + wait) > 0


def test_refusal_takes_no_token() -> None:
    """A client that retries constantly gets the same rate as one that waits."""
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(0.0) == 0.0
    for step in range(9):
        assert bucket.take(step / 10) > 0
    assert bucket.take(1.0) == 0.0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_bucket_never_exceeds_burst_and_rate(times: list[float]) -> None:
    """Whatever the clock does."""
    bucket = TokenBucket(rate=3, burst=5)
    times = sorted(times)
    taken = sum(bucket.take(now) == 0.0 for now in times)
    assert taken <= 5 + 3 * (times[-1] - times[0]) + 1e-6


def test_tokens_spent_elsewhere_are_paid_back() -> None:
    """At most a burst below zero; during that time a share of the rate is granted."""
    bucket = TokenBucket(rate=50, burst=200)
    bucket.drain(150, 0.0)
    assert [bucket.take(0.0) > 0 for _ in range(51)] == [False] * 50 + [True]
    bucket.drain(10_000, 1.0)
    assert bucket.take(1.0) == 0.0
    assert bucket.take(1.0) == pytest.approx(1 / (GUARANTEED_SHARE * 50))
    assert not bucket.is_full(1.0)
    assert bucket.is_full(1.0 + 400 / 50 + 1)
    assert bucket.take(1.1 + 201 / 50) == 0.0


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=300))
def test_two_announcing_gateways_grant_about_one_budget(tries: list[tuple[float, bool]]) -> None:
    """With an announcement every half second: 1.25 rates in the long run, plus a burst and half a second once."""
    rate, burst, told_every = 3, 5, 0.5
    gateways = [TokenBucket(rate, burst), TokenBucket(rate, burst)]
    taken, untold, tell_at = 0, [0, 0], told_every
    tries = sorted(tries)
    for now, second in tries:
        while tell_at <= now:
            for mine, spent in enumerate(untold):
                gateways[1 - mine].drain(spent, tell_at)
            untold, tell_at = [0, 0], tell_at + told_every
        if gateways[second].take(now) == 0.0:
            taken += 1
            untold[second] += 1
    assert taken <= 2 * burst + rate * (1 + GUARANTEED_SHARE) * (tries[-1][0] + 2 * told_every) + 1


def test_busy_gateway_does_not_starve_another_one() -> None:
    """A gateway asked five seconds after a busy one grants events at once, and soon at the same rate."""
    rate, burst, told_every = 50, 200, 0.5
    gateways = [TokenBucket(rate, burst), TokenBucket(rate, burst)]
    gateways[1].drain(burst, 0.0)
    taken, untold = [0, 0], [0, 0]
    for step in range(1, 12_000):
        now = step / 100
        for n in (0, 1) if now > 5 else (0,):
            while gateways[n].take(now) == 0.0:
                taken[n] += 1
                untold[n] += 1
        if step % (100 * told_every) == 0:
            for n, spent in enumerate(untold):
                gateways[1 - n].drain(spent, now)
            untold = [0, 0]
    assert taken[1] > 0.2 * rate * 115
    assert sum(taken) < 2 * burst + 1.25 * rate * 120


def test_limiter_passes_a_burst_and_spreads_later_calls() -> None:
    """Each delayed call gets a separate slot; an idle period restores the burst, and no more."""
    pace = RateLimiter(rate=10, burst=3)
    assert [pace.delay(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert [pace.delay(100.0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert [pace.delay(200.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert pace.delay(200.0) == pytest.approx(0.1)


def test_limiter_never_exceeds_its_maximum_delay() -> None:
    """However many came at once, a while after the last of them all is as before."""
    pace = RateLimiter(rate=10, burst=3)
    assert max(pace.delay(100.0) for _ in range(1_000)) == pytest.approx(DELAY_MAX)
    assert pace.delay(100.0 + DELAY_MAX + 0.3) == 0.0
