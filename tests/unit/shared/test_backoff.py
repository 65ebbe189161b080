"""Exponential backoff: doubled, bounded, and spread by jitter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import Backoff


def test_delay_doubles_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 2.0, jitter=0)
    assert [backoff.next() for _ in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_reset_starts_again_at_the_first_delay() -> None:
    backoff = Backoff(0.1, 2.0, jitter=0)
    assert [backoff.next(), backoff.next()] == [0.1, 0.2]
    backoff.reset()
    assert backoff.next() == 0.1


def test_first_delay_never_exceeds_the_longest() -> None:
    assert Backoff(5.0, 2.0, jitter=0).next() == 2.0


@pytest.mark.parametrize(("drawn", "delays"), [(0.0, [1.0, 2.0, 4.0]), (0.5, [0.75, 1.5, 3.0])])
def test_half_of_a_delay_is_random_by_default(
    monkeypatch: pytest.MonkeyPatch, drawn: float, delays: list[float]
) -> None:
    monkeypatch.setattr(random, "random", lambda: drawn)
    backoff = Backoff(1.0, 10.0)
    assert [backoff.next() for _ in range(3)] == delays


def test_full_jitter_may_shorten_a_delay_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    assert Backoff(1.0, 10.0, jitter=1).next() == 0.0


@given(st.integers(0, 5_000), st.floats(0.001, 10), st.floats(0.001, 600), st.floats(0, 1))
def test_any_number_of_failures_stays_within_the_bounds(
    failures: int, first: float, longest: float, jitter: float
) -> None:
    backoff = Backoff(first, longest, jitter=jitter)
    for _ in range(failures):
        backoff.next()
    assert 0 <= backoff.next() <= longest
