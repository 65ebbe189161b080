"""Spans hold the numbers they were given, however many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.state import Spans, extended, holds, merged


@given(st.sets(st.integers(1, 60), min_size=1))
def test_spans_hold_exactly_their_numbers(numbers: set[int]) -> None:
    """Ascending numbers go in; those and no others are held, in the fewest spans."""
    spans: Spans = []
    for number in sorted(numbers):
        spans = extended(spans, number)
    assert {n for n in range(70) if holds(spans, n)} == numbers
    assert len(spans) == sum(1 for n in numbers if n - 1 not in numbers)


def test_extending_leaves_the_old_spans_alone() -> None:
    """A turn and its successor may share them."""
    before = [[1, 2]]
    assert extended(before, 3) == [[1, 3]]
    assert before == [[1, 2]]


@given(st.sets(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 40)))
def test_merged_spans_hold_what_either_holds(one: set[int], other: set[int]) -> None:
    """Ascending, in the fewest spans, whatever the order of their numbers."""
    spans = [Spans(), Spans()]
    for place, numbers in enumerate((one, other)):
        for number in sorted(numbers):
            spans[place] = extended(spans[place], number)
    together = merged(*spans)
    assert {n for n in range(50) if holds(together, n)} == one | other
    assert together == sorted(together)
    assert len(together) == sum(1 for n in one | other if n - 1 not in one | other)
