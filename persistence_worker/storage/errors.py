"""Classifies failures, and describes them without quoting content."""

from __future__ import annotations

from traceback import walk_tb

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from persistence_worker.domain.command_batch import MissingRule
from shared.database.errors import sqlstate
from shared.errors import BackchatError

PERMANENT_CLASSES = ("22", "23")  # SQLSTATE: data exception, integrity constraint violation
OWN_PACKAGES = ("persistence_worker", "shared")


def is_permanent(error: Exception) -> bool:
    """Whether every retry must fail: the event does not parse, a rule raises, or the database refuses its data.

    Lost connections, timeouts, deadlocks, serialization failures and operator errors (a missing table) are transient.
    """
    if isinstance(error, DBAPIError):
        state = sqlstate(error)
        if state is not None:
            return state[:2] in PERMANENT_CLASSES
        return isinstance(error, (IntegrityError, DataError))
    if isinstance(error, StatementError):  # the driver cannot bind a value
        return True
    return not isinstance(error, (SQLAlchemyError, OSError, TimeoutError, BackchatError))


def reason(error: Exception) -> str:
    """Return the error's class and SQLSTATE. Its message is left out, because it may quote content."""
    if isinstance(error, MissingRule):
        return f"{type(error).__name__}: {error}"  # names a command type, nothing else
    state = sqlstate(error)
    return f"{type(error).__name__} {state}" if state else type(error).__name__


def origin(error: Exception) -> str | None:
    """Return module and line of our innermost frame that the error passed through, as `package.module:123`."""
    found = None
    for frame, line in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(OWN_PACKAGES):
            found = f"{module}:{line}"
    return found
