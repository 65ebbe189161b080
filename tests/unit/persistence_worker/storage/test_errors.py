"""Which failures are permanent."""

from __future__ import annotations

import pytest
from sqlalchemy import exc

from persistence_worker.storage.errors import is_permanent, reason
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
    assert is_permanent(error)


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
    assert not is_permanent(error)


def test_a_reason_names_no_content() -> None:
    """The error's text may quote what people wrote; its class and state do not."""
    assert reason(exc.DataError("INSERT secret", {"content": "secret"}, Refused("22021"))) == "DataError 22021"
