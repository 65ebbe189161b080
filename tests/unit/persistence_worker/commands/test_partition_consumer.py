"""Deliveries of a partition are divided into batches."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from persistence_worker.commands.partition_consumer import BATCH_EVENTS, CAREFUL_FROM, PREFETCH, next_batch
from shared.bus.port import Delivery


def test_batches_keep_the_order_and_are_bounded() -> None:
    """A body is never divided; a large one is a separate batch."""
    sizes = [3, 400, 200, 600, 1, 1]
    left: Sequence[Delivery] = [Delivery(b'{"specversion"' * n, "", 0, tag, 1) for tag, n in enumerate(sizes)]
    cut = []
    while left:
        cut.append(next_batch(left, 1))
        left = left[len(cut[-1]) :]
    assert [[delivery.tag for delivery in piece] for piece in cut] == [[0, 1], [2], [3], [4, 5]]
    assert BATCH_EVENTS == 500


@pytest.mark.parametrize("culprit", range(PREFETCH))
def test_body_that_crashes_processes_is_the_first_after_seven_crashes(culprit: int) -> None:
    """At every position in the prefetched bodies: long before the number of its deliveries makes it suspect."""
    left: Sequence[Delivery] = [Delivery(b"", "", CAREFUL_FROM, tag, 1) for tag in range(PREFETCH)]
    ends = 0
    while left[0].tag != culprit:
        together = 1
        while culprit >= left[0].tag + len(next_batch(left, together)):
            left = left[len(next_batch(left, together)) :]
            together *= 2
        ends += 1
        assert ends <= 7
