"""Errors of the database: which ones give a connection up, which ones end the process, and what is logged of them."""

from __future__ import annotations

import sqlite3
import ssl

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import exc

from shared.database.errors import is_disk_full, is_server_away, reason, sqlstate, wrong_address

CONTENT = "the text of a message"


def of_driver(error: Exception) -> exc.DBAPIError:
    """Wrap an error of asyncpg as SQLAlchemy does."""

    class Wrapped(Exception):
        sqlstate = getattr(error, "sqlstate", None)

    wrapped = Wrapped(str(error))
    wrapped.__cause__ = error
    return exc.DBAPIError(f"INSERT {CONTENT}", None, wrapped)


def of_sqlite(code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


AWAY = [
    asyncpg.ReadOnlySQLTransactionError("read-only"),
    asyncpg.AdminShutdownError("shutdown"),
    asyncpg.CrashShutdownError("crash"),
    asyncpg.CannotConnectNowError("starting"),
    asyncpg.ConnectionDoesNotExistError("lost"),
    asyncpg.TransactionResolutionUnknownError("unknown"),
]
NOT_AWAY = [
    asyncpg.UniqueViolationError("twice"),
    asyncpg.DeadlockDetectedError("deadlock"),
    asyncpg.QueryCanceledError("statement timeout"),
    asyncpg.LockNotAvailableError("lock timeout"),
    asyncpg.DiskFullError("full"),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_server_that_is_away_gives_the_connection_up(error: Exception) -> None:
    assert is_server_away(of_driver(error))
    assert is_server_away(error)
    assert wrong_address(of_driver(error)) is None


def test_server_that_does_not_answer_gives_the_connection_up() -> None:
    assert is_server_away(TimeoutError())


@pytest.mark.parametrize("error", NOT_AWAY, ids=lambda error: type(error).__name__)
def test_errors_of_one_transaction_keep_the_connection(error: Exception) -> None:
    assert not is_server_away(of_driver(error))


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InvalidPasswordError('password authentication failed for user "app"'),
        asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry"),
        asyncpg.InvalidCatalogNameError('database "x" does not exist'),
        asyncpg.UndefinedObjectError('unrecognized configuration parameter "foo"'),
    ],
    ids=lambda error: type(error).__name__,
)
def test_refusal_by_the_server_is_the_line_for_the_operator(error: Exception) -> None:
    assert wrong_address(of_driver(error)) == str(error)


@pytest.mark.parametrize(
    ("statement", "right"),
    [
        ("", "CONNECT on the database"),
        ("CREATE SCHEMA auth", "CREATE on the database"),
        ("CREATE TABLE users (id text)", "CREATE on the schema"),
        ("SELECT version_num FROM chat.alembic_version", "SELECT"),
        ("INSERT INTO chat.settings VALUES (1)", "INSERT"),
    ],
)
def test_missing_right_is_named(statement: str, right: str) -> None:
    error = of_driver(asyncpg.InsufficientPrivilegeError("permission denied"))
    error.statement = statement
    assert right in str(wrong_address(error))


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLCertVerificationError(1, "certificate verify failed"),
        ConnectionError("rejected SSL upgrade"),
        PermissionError(13, "Permission denied", "/ca.pem"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_faults_of_tls_end_the_process(error: Exception) -> None:
    assert wrong_address(error)


@pytest.mark.parametrize("error", [ConnectionRefusedError(111, "refused"), TimeoutError(), OSError(113, "no route")])
def test_server_without_an_answer_does_not_end_the_process(error: Exception) -> None:
    assert wrong_address(error) is None


@pytest.mark.parametrize(
    "error",
    [
        of_driver(asyncpg.DiskFullError("full")),
        exc.OperationalError("INSERT", None, of_sqlite(sqlite3.SQLITE_FULL, "SQLITE_FULL")),
        of_sqlite(sqlite3.SQLITE_FULL, "SQLITE_FULL"),
    ],
)
def test_full_disk_is_recognised(error: Exception) -> None:
    assert is_disk_full(error)
    assert not is_disk_full(of_driver(asyncpg.DeadlockDetectedError("deadlock")))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (of_driver(asyncpg.ReadOnlySQLTransactionError(CONTENT)), "ReadOnlySQLTransactionError 25006"),
        (exc.OperationalError(CONTENT, None, of_sqlite(13, "SQLITE_FULL")), "OperationalError SQLITE_FULL"),
        (ConnectionRefusedError(111, CONTENT), "ConnectionRefusedError"),
        (exc.TimeoutError(CONTENT), "TimeoutError"),
    ],
)
def test_reason_has_the_state_and_no_content(error: Exception, said: str) -> None:
    assert reason(error) == said
    assert CONTENT not in reason(error)


def test_error_without_a_state_has_none() -> None:
    assert sqlstate(ValueError()) is None
