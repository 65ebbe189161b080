"""Permanent and transient failures, and what is logged of them."""

from __future__ import annotations

import pytest
from sqlalchemy import exc

from persistence_worker.storage.errors import is_permanent, reason
from shared.contracts.envelope import MalformedEvent
from shared.errors import Unavailable


class Refused(Exception):
    """The error of a driver."""

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
def test_invalid_data_and_rules_that_raise_are_permanent(error: Exception) -> None:
    """SQLSTATE classes 22 and 23, values that cannot be bound or parsed."""
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
def test_connections_timeouts_deadlocks_and_missing_tables_are_transient(error: Exception) -> None:
    assert not is_permanent(error)


def test_reason_has_no_content() -> None:
    """The message of an error may quote content; its class and SQLSTATE do not."""
    assert reason(exc.DataError("INSERT secret", {"content": "secret"}, Refused("22021"))) == "DataError 22021"
