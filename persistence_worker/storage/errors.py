"""Which failures are permanent, so that a retry cannot help."""

from __future__ import annotations

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from shared.errors import BackchatError

POISON_CLASSES = ("22", "23")  # SQLSTATE: data exception, integrity constraint violation


def is_poison(error: Exception) -> bool:
    """Whether the event can never be applied: it does not parse, a rule raises, or the database refuses its data.

    Connections, timeouts, deadlocks, serialisation and whatever the operator must mend are not its fault.
    """
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        if state is not None:
            return str(state)[:2] in POISON_CLASSES
        return isinstance(error, (IntegrityError, DataError))
    if isinstance(error, StatementError):  # a value that could not even be bound
        return True
    return not isinstance(error, (SQLAlchemyError, OSError, TimeoutError, BackchatError))


def reason(error: Exception) -> str:
    """What went wrong without a word of the content."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
