"""Whose fault a failure is, and how bodies are cut into transactions."""

from __future__ import annotations

import pytest
from sqlalchemy import exc

from persistence_worker.handlers import PIECE_EVENTS, pieces
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
    deliveries = [Delivery(b'{"specversion"' * n, "", 0, tag, 1) for tag, n in enumerate(sizes)]
    cut = list(pieces(deliveries))
    assert [d for piece in cut for d in piece] == deliveries
    assert [[sizes[d.tag] for d in piece] for piece in cut] == [[3, 400], [200], [600], [1, 1]]
    assert PIECE_EVENTS == 500
