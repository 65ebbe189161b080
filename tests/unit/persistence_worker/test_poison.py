"""Whose fault a failure is, and how bodies are cut into transactions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import exc

from persistence_worker.handlers import CAREFUL_FROM, PIECE_EVENTS, PREFETCH, first_piece
from persistence_worker.poison import is_poison, reason
from shared.bus.port import Delivery
from shared.contracts.envelope import MalformedEvent
from shared.errors import Unavailable


class Refused(Exception):
    """What a driver raises."""

    def __init__(self, sqlstate: str | None = None) -> None:
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "error",
    [
        exc.DBAPIError("", None, Refused("22021")),
        exc.IntegrityError("", None, Refused("23505")),
        exc.IntegrityError("", None, Refused()),
        exc.StatementError("", "", None, ValueError()),
        MalformedEvent(),
        KeyError("a rule"),
    ],
)
def test_the_events_own_fault(error: Exception) -> None:
    """Class 22 and 23, what cannot be bound or parsed, and rules that raise."""
    assert is_poison(error)


@pytest.mark.parametrize(
    "error",
    [
        exc.DBAPIError("", None, Refused("40P01")),
        exc.OperationalError("", None, Refused("57P01")),
        exc.ProgrammingError("", None, Refused("42P01")),
        exc.OperationalError("", None, Refused()),
        exc.InterfaceError("", None, Refused()),
        exc.TimeoutError(),
        ConnectionRefusedError(),
        TimeoutError(),
        TimeoutError(),
        Unavailable(),
    ],
)
def test_nobodys_fault(error: Exception) -> None:
    """Connections, timeouts, deadlocks, a missing table."""
    assert not is_poison(error)


def test_a_reason_names_no_content() -> None:
    """The error's text may quote what people wrote; its class and state do not."""
    assert reason(exc.DataError("INSERT secret", {"content": "secret"}, Refused("22021"))) == "DataError 22021"


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
