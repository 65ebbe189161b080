"""Spans contain exactly the numbers that were added."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.state import Spans, contains, extended, merged


@given(st.sets(st.integers(1, 60), min_size=1))
def test_extended_spans_contain_exactly_their_numbers(numbers: set[int]) -> None:
    """In as few spans as possible."""
    spans: Spans = []
    for number in sorted(numbers):
        spans = extended(spans, number)
    assert {n for n in range(70) if contains(spans, n)} == numbers
    assert len(spans) == sum(1 for n in numbers if n - 1 not in numbers)


def test_extended_does_not_change_its_argument() -> None:
    """A turn and its successor may share the spans."""
    before = [[1, 2]]
    assert extended(before, 3) == [[1, 3]]
    assert before == [[1, 2]]


@given(st.sets(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 40)))
def test_merged_spans_contain_the_numbers_of_both(one: set[int], other: set[int]) -> None:
    """Ascending, in as few spans as possible."""
    spans = [Spans(), Spans()]
    for place, numbers in enumerate((one, other)):
        for number in sorted(numbers):
            spans[place] = extended(spans[place], number)
    together = merged(*spans)
    assert {n for n in range(50) if contains(together, n)} == one | other
    assert together == sorted(together)
    assert len(together) == sum(1 for n in one | other if n - 1 not in one | other)
