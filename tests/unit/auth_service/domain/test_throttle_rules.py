"""Delays between guesses: some failures are free, then the delay doubles."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain.throttle_rules import PENDING_FOR, Budget, Tally, aged, begun, ended, failed, succeeded, wait

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
BUDGET = Budget(free=5, forget_every=60.0, wait_max=100.0, pending_max=3)
FRESH = Tally(NOW)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def failures(count: int, budget: Budget = BUDGET) -> Tally:
    tally = FRESH
    for _ in range(count):
        tally = failed(tally, budget, NOW)
    return tally


def test_delays_start_after_free_failures_and_double_up_to_a_bound() -> None:
    assert [wait(failures(count), BUDGET, NOW) for count in range(14)] == [0] * 6 + [1, 2, 4, 8, 16, 32, 64, 100]
    assert wait(failures(6), BUDGET, after(1)) == 0
    assert wait(failures(10_000), BUDGET, NOW) == 100


def test_failures_expire_one_by_one() -> None:
    assert aged(failures(6), BUDGET, after(60)).failures == 5
    assert aged(failures(6), BUDGET, after(10_000)).failures == 0
    assert aged(failures(6), BUDGET, after(-10)).failures == 6, "another replica's clock is behind"


def test_success_resets_failures_and_marks_the_address_as_known() -> None:
    tally = succeeded(failures(9), after(3))
    assert wait(tally, BUDGET, NOW) == 0
    assert (tally.failures, tally.succeeded_at) == (0, after(3))


def test_concurrent_guesses_are_bounded() -> None:
    three = begun(begun(begun(FRESH)))
    assert wait(three, BUDGET, NOW) > 0
    assert wait(ended(three), BUDGET, NOW) == 0
    assert aged(three, BUDGET, NOW + PENDING_FOR).pending == 0, "their process is gone"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 200)), max_size=200))
def test_rate_of_guesses_is_bounded_for_every_pattern(steps: list[tuple[bool, float]]) -> None:
    """At most the free failures, the expired ones, and one per delay."""
    tally, now, tried = FRESH, NOW, 0
    for impatient, pause in steps:
        now += timedelta(seconds=0.0 if impatient else pause)
        tally = aged(tally, BUDGET, now)
        if not wait(tally, BUDGET, now):
            tally = failed(begun(tally), BUDGET, now)
            tally = ended(tally)
            tried += 1
    seconds = (now - NOW).total_seconds()
    assert tried <= BUDGET.free + 1 + seconds / BUDGET.forget_every + seconds
    assert tally.pending == 0
