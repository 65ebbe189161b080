"""How a partition cuts bodies into transactions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from persistence_worker.commands.partition_consumer import CAREFUL_FROM, PIECE_EVENTS, PREFETCH, first_piece
from shared.bus.port import Delivery


def test_pieces_keep_order_and_bound() -> None:
    """Bodies are never split; a large one stands alone."""
    sizes = [3, 400, 200, 600, 1, 1]
    left: Sequence[Delivery] = [Delivery(b'{"specversion"' * n, "", 0, tag, 1) for tag, n in enumerate(sizes)]
    cut = []
    while left:
        cut.append(first_piece(left, 1))
        left = left[len(cut[-1]) :]
    assert [[delivery.tag for delivery in piece] for piece in cut] == [[0, 1], [2], [3], [4, 5]]
    assert PIECE_EVENTS == 500


@pytest.mark.parametrize("culprit", range(PREFETCH))
def test_a_body_that_ends_processes_is_soon_the_first(culprit: int) -> None:
    """Wherever it stands in what is prefetched: long before anything is suspected for the count of its deliveries."""
    left: Sequence[Delivery] = [Delivery(b"", "", CAREFUL_FROM, tag, 1) for tag in range(PREFETCH)]
    ends = 0
    while left[0].tag != culprit:
        together = 1
        while culprit >= left[0].tag + len(first_piece(left, together)):
            left = left[len(first_piece(left, together)) :]
            together *= 2
        ends += 1
        assert ends <= 7
