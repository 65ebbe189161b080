"""Database engines for PostgreSQL and SQLite, with timeouts and durability settings."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, DateTime, Dialect, ExceptionContext, NullPool, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from shared.database.address import Address, parse
from shared.database.driver import LIMITS, NO_LIMITS, Opener
from shared.database.errors import is_server_away
from shared.errors import InvalidRequest

POOL_TIMEOUT = 3.0  # seconds until a connection of the pool is free
PROBE_TIMEOUT = 3.0  # seconds in which a synchronous standby must confirm a write

SESSION = {
    **LIMITS,
    # Prepared statements keep their plans. One planned for an almost empty table would scan the whole
    # table from then on: 366 µs a message and growing, compared with 3 µs by the index.
    "enable_seqscan": "off",
    "jit": "off",  # compiling the plans of pages and lists takes longer than running them: 22 ms a query
}
STATE = text(
    "SELECT current_setting('transaction_read_only') = 'on',"
    " current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') <> 'local'"
)
REFUSE = text("DO $$ BEGIN RAISE read_only_sql_transaction; END $$")
EMIT = "SELECT pg_logical_emit_message(true, 'backchat', '')"


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
        ValueError: the URL cannot work.
    """
    if url.startswith("postgresql+asyncpg://"):
        return _postgresql(url, pool_size)
    if url.startswith("sqlite+aiosqlite://"):
        return _sqlite(url, schema)
    raise InvalidRequest("the database URL must start with postgresql+asyncpg:// or sqlite+aiosqlite://")


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file, whose path may contain any character."""
    return URL.create("sqlite+aiosqlite", database=str(path.resolve())).render_as_string(hide_password=False)


def open_unlimited(engine: AsyncEngine) -> AsyncEngine:
    """Create an engine for the same PostgreSQL address without limits of time and without a pool, for migrations."""
    address: Address = engine.sync_engine.get_execution_options()["address"]
    return create_async_engine(
        "postgresql+asyncpg://", poolclass=NullPool, connect_args={"async_creator_fn": Opener(address, NO_LIMITS)}
    )


async def probe_writes(engine: AsyncEngine) -> None:
    """Check that the database takes writes; a synchronous standby must confirm one. SQLite is not checked.

    Raises:
        DBAPIError: the server takes no writes (SQLSTATE 25006), so that all connections of the pool are given up.
        TimeoutError: no synchronous standby confirms.
    """
    if engine.dialect.name != "postgresql":
        return
    async with engine.connect() as connection:
        read_only, synchronous = (await connection.execute(STATE)).one()
        if read_only:
            await connection.execute(REFUSE)
        await connection.rollback()
        if synchronous:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute(EMIT, timeout=PROBE_TIMEOUT)  # may be cancelled: nothing of it is ever visible


def _postgresql(url: str, pool_size: int) -> AsyncEngine:
    address = parse(url)
    caches = (
        {} if address.prepared_statements is None else {"prepared_statement_cache_size": address.prepared_statements}
    )
    engine = create_async_engine(
        URL.create("postgresql+asyncpg", database=address.arguments.get("database")),
        hide_parameters=True,  # error messages are logged, and must not contain texts and hashes
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_pre_ping=False,  # would add a round trip to each transaction; callers retry what is safe
        connect_args={"async_creator_fn": Opener(address, SESSION), **caches},
        execution_options={"address": address},
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def give_up(context: ExceptionContext) -> None:
        if is_server_away(context.original_exception):
            context.is_disconnect = True  # closes this connection, and invalidates all others of the pool

    return engine


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
