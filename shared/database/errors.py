"""Classifies errors of the database, and describes them without quoting content."""

from __future__ import annotations

import re
import sqlite3
import ssl

import asyncpg  # type: ignore[import-untyped]

from shared import sqlite_errors

READ_ONLY = "25006"  # read_only_sql_transaction: a standby, or a server that takes no writes for now
COMMIT_UNKNOWN = "08007"  # transaction_resolution_unknown
NO_RIGHT = "42501"  # insufficient_privilege
# Read-only, and shutdowns of the server: admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout.
SERVER_AWAY = frozenset({READ_ONLY, "57P01", "57P02", "57P03", "57P05"})
DISK_FULL = frozenset({"53100", "58030"})  # disk_full, io_error
# PgBouncer uses the class of connection errors (08) for all that is not an error of the server. This is what it says of
# addresses that cannot work; all else is for now, such as a server that is away, or its own limits.
POOLER_REFUSES = re.compile(
    'unsupported startup parameter|no such (user|database)|(database|role) ".*" does not exist'
    "|authentication failed|auth failed|pooling mode"
)
# The address cannot work: authentication, unknown database, no right, and parameters that the server refuses.
WRONG_ADDRESS = frozenset({"28000", "28P01", "3D000", NO_RIGHT, "42704", "22023", "0A000"})


class UnusablePooler(asyncpg.ProtocolViolationError):  # type: ignore[misc]
    """A connection pooler that hands prepared statements to other servers than those that know them."""


def driver_error(error: BaseException) -> BaseException:
    """Return the error of the driver that SQLAlchemy has wrapped, or the error itself."""
    original = getattr(error, "orig", None) or error
    cause = original.__cause__
    return cause if isinstance(cause, (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) else original


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of PostgreSQL, or `None`."""
    state = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return state if isinstance(state, str) else None


def reason(error: BaseException) -> str:
    """Return the class of the driver's error and its SQLSTATE; never its message, which may quote content."""
    found = driver_error(error)
    state = sqlstate(error)
    if state is None and isinstance(found, sqlite3.Error):
        state = getattr(found, "sqlite_errorname", None)
    return f"{type(found).__name__} {state}" if state else type(found).__name__


def is_server_away(error: BaseException) -> bool:
    """Return whether the connection must be given up: its server shuts down, takes no writes or does not answer."""
    if isinstance(error, TimeoutError):  # of asyncpg, later than the server's own `statement_timeout`
        return True
    state = sqlstate(error) or ""
    return state in SERVER_AWAY or state.startswith("08")


def is_disk_full(error: BaseException) -> bool:
    """Return whether the server's disk is full or fails."""
    return sqlstate(error) in DISK_FULL or sqlite_errors.is_disk_full(driver_error(error))


def wrong_address(error: BaseException) -> str | None:
    """Return why an address can never work, as one line for an operator; `None` if the server is away for now.

    The line is the server's own, which names roles, databases and rights, and contains no password.
    """
    found = driver_error(error)
    if isinstance(found, ssl.SSLError):
        return f"TLS failed: {getattr(found, 'verify_message', None) or getattr(found, 'reason', None) or found}"
    if type(found) is ConnectionError or isinstance(found, asyncpg.ClientConfigurationError):
        return str(found)  # asyncpg: the server rejected TLS, or a parameter has a wrong value
    if isinstance(found, (PermissionError, FileNotFoundError)) and found.filename:
        return f"{found.filename}: {found.strerror}"
    state, said = sqlstate(error) or "", str(found).partition("\n")[0]
    refused = isinstance(found, UnusablePooler) or (state.startswith("08") and POOLER_REFUSES.search(said))
    if not refused and state not in WRONG_ADDRESS:
        return None
    return f"{said}; the right {_right(error)} is missing" if state == NO_RIGHT else said


def _right(error: BaseException) -> str:
    """Return the right that a statement requires, by its first words."""
    match (getattr(error, "statement", None) or "").split():
        case []:
            return "CONNECT on the database"
        case ["CREATE", "SCHEMA", *_]:
            return "CREATE on the database (or let its owner create the schema for this role)"
        case ["CREATE" | "ALTER" | "DROP", *_]:
            return "CREATE on the schema, or the ownership of its tables,"
        case [verb, *_]:
            return f"{verb} (and USAGE on the schema)"
    return "for this"
