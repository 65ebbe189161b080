"""Engines for both dialects, with the settings that our promises need."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Dialect, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from shared.errors import InvalidRequest

CONNECT_TIMEOUT = 3.0  # seconds
STATEMENT_TIMEOUT = 10  # seconds; a statement that runs longer is ended by the server
LOCK_TIMEOUT = 5  # seconds
IDLE_IN_TRANSACTION_TIMEOUT = 3  # seconds; else a paused writer blocks its successor without end


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps it without a zone, and gives it back with one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """None on PostgreSQL, whose driver takes and gives aware moments: these are hot columns."""
        return None if dialect.name == "postgresql" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """None on PostgreSQL, likewise."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: UTC."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database: aware, UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str, *, schema: str, pool_size: int = 10) -> AsyncEngine:
    """An engine for `postgresql+asyncpg://…` or `sqlite+aiosqlite:///…`; connects only when first used.

    On PostgreSQL the tables live in `schema`; on SQLite the file has them to itself, so tables declared
    with that schema are translated to none.

    Raises:
        InvalidRequest: another dialect.
    """
    if url.startswith("postgresql+asyncpg://"):
        return _postgresql(url, pool_size)
    if url.startswith("sqlite+aiosqlite://"):
        return _sqlite(url, schema)
    raise InvalidRequest("the database URL must begin with postgresql+asyncpg:// or sqlite+aiosqlite://")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path.resolve()}"


def _postgresql(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        hide_parameters=True,  # an error's text goes to the log; people's words and hashes do not
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        pool_pre_ping=False,  # a round trip a transaction; the callers retry what is safe to retry
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": STATEMENT_TIMEOUT + 1,
            "server_settings": {
                "application_name": "backchat",
                "statement_timeout": f"{STATEMENT_TIMEOUT}s",
                "lock_timeout": f"{LOCK_TIMEOUT}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT}s",
                # Plans of prepared statements that were made while a table was nearly empty stay; without this
                # they scan it whole, for ever: 366 µs a message and growing, against 3 µs by its index.
                "enable_seqscan": "off",
            },
        },
    )


def _sqlite(url: str, schema: str) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True, execution_options={"schema_translate_map": {schema: None}})

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's implicit BEGIN is deferred; ours is not
        cursor: sqlite3.Cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
