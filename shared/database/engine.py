"""Database engines for PostgreSQL and SQLite, with timeouts and durability settings."""

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
STATEMENT_TIMEOUT = 10  # seconds; the server cancels statements that take longer
LOCK_TIMEOUT = 5  # seconds
IDLE_IN_TRANSACTION_TIMEOUT = 3  # seconds; without it a frozen writer would block its successor without limit


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp in UTC, aware in Python; SQLite stores it without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """Return no processor for PostgreSQL, whose driver handles aware timestamps, to save time on hot columns."""
        return None if dialect.name == "postgresql" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """Return no processor for PostgreSQL, as for parameters."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a parameter to UTC."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert a value to an aware timestamp in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str, *, schema: str, pool_size: int = 10) -> AsyncEngine:
    """Create an engine for `postgresql+asyncpg://…` or `sqlite+aiosqlite:///…`; it connects when first used.

    On PostgreSQL the tables are in `schema`. A SQLite file has no schemas, so the schema of tables is removed.

    Raises:
        InvalidRequest: the URL has another dialect.
    """
    if url.startswith("postgresql+asyncpg://"):
        return _postgresql(url, pool_size)
    if url.startswith("sqlite+aiosqlite://"):
        return _sqlite(url, schema)
    raise InvalidRequest("the database URL must start with postgresql+asyncpg:// or sqlite+aiosqlite://")


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path.resolve()}"


def _postgresql(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        hide_parameters=True,  # error messages are logged, and must not contain texts and hashes
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        pool_pre_ping=False,  # would add a round trip to each transaction; callers retry what is safe
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": STATEMENT_TIMEOUT + 1,
            "server_settings": {
                "application_name": "backchat",
                "statement_timeout": f"{STATEMENT_TIMEOUT}s",
                "lock_timeout": f"{LOCK_TIMEOUT}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT}s",
                # Prepared statements keep their plans. One planned for an almost empty table would scan the whole
                # table from then on: 366 µs a message and growing, compared with 3 µs by the index.
                "enable_seqscan": "off",
            },
        },
    )


def _sqlite(url: str, schema: str) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True, execution_options={"schema_translate_map": {schema: None}})

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # disables the driver's implicit, deferred BEGIN
        cursor: sqlite3.Cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
