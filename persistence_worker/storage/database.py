"""Opens transactions, and watches whether the database is available."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.storage.tables import SCHEMA, settings
from shared.database.engine import probe_writes
from shared.database.errors import is_disk_full, reason
from shared.database.migrations import is_current
from shared.database.starting import check_address
from shared.runtime.settings import config_error

logger = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"
PROBE_INTERVAL = 5.0  # seconds between probes of an available database
PROBE_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between probes of an unavailable one; the last value repeats

# The timeouts of PostgreSQL have a gap: a backend that waits for a frozen client in the middle of a statement (its
# result half read, or its next message half sent) counts as active and keeps its locks without a limit.
TERMINATE_FROZEN = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
      AND application_name = current_setting('application_name')
      AND xact_start IS NOT NULL AND wait_event_type = 'Client'
      AND state_change < clock_timestamp() - interval '3 seconds'
    """)

PARTITIONS = select(settings.c.value).where(settings.c.name == "partitions")

T = TypeVar("T")


class Database:
    """Runs functions in transactions of one engine. On SQLite, one write runs at a time, in parallel with reads."""

    def __init__(self, engine: AsyncEngine, partitions: int) -> None:
        self._engine = engine
        self._partitions = partitions
        postgresql = engine.dialect.name == "postgresql"
        self._writer = asyncio.Lock()  # of SQLite
        self._reading = engine.execution_options(
            **({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if postgresql else {}),
            read_only=True,
        )
        self._ready = asyncio.Event()
        self._failed = asyncio.Event()
        self._missing = ["database"]
        self._disk_full = False  # until a write succeeds: a probe needs no room

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self._engine.dialect.name

    @property
    def missing(self) -> Sequence[str]:
        """`database` while it takes no writes (with `disk` if that is why), `migrations` before them; else empty."""
        return ["database", "disk"] if self._disk_full else self._missing

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and commit it.

        On SQLite a cancelled caller waits for the end of its transaction. If it were cancelled again while it rolled
        back, it would end while the thread of its connection still runs a statement, with the lock of the database.
        """
        if self.dialect != "postgresql":
            result = await _to_the_end(self._write_alone(work))
        else:
            async with self._engine.begin() as connection:
                result = await connection.run_sync(work)
        self._disk_full = False
        return result

    async def _write_alone(self, work: Callable[[Connection], T]) -> T:
        async with self._writer, self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot; a second time if the pooled connection was closed by the server."""
        try:
            return await self._read(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._read(work)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        async with self._reading.connect() as connection, connection.begin():
            return await connection.run_sync(work)

    async def ready(self) -> None:
        """Wait until the database is available and its schema is current."""
        await self._ready.wait()

    def report_failure(self, error: Exception | None = None) -> None:
        """Report a failed transaction: `ready` waits until the next probe succeeds."""
        self._ready.clear()
        self._failed.set()
        self._missing = ["database"]
        if error is not None and is_disk_full(error):
            self._disk_full = True
            logger.warning("database.disk_full", reason=reason(error), collapse=reason(error))

    async def watch(self) -> None:
        """Probe the database until cancelled.

        Raises:
            SystemExit: the database was created with another number of partitions (exit code 2).
        """
        failures = 0
        checked = False
        while True:
            try:
                if not await is_current(self._engine, MIGRATIONS, schema=SCHEMA):
                    self.report_failure()
                    self._missing = ["migrations"]
                else:
                    await probe_writes(self._engine)
                    checked = checked or await self._check_partitions()
                    await self._terminate_frozen()
                    self._missing = []
                    self._ready.set()
                    failures = 0
            except Exception as error:  # noqa: BLE001 - the next probe decides
                self.report_failure(error)
                logger.warning("database.unavailable", reason=reason(error), collapse=reason(error))
            if self._missing:
                await asyncio.sleep(PROBE_BACKOFF[min(failures, len(PROBE_BACKOFF) - 1)])
                failures += 1
            else:
                await self._pause()

    async def _pause(self) -> None:
        """Sleep until the next probe, or until a failure is reported."""
        self._failed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._failed.wait(), PROBE_INTERVAL)

    async def _terminate_frozen(self) -> None:
        """Terminate transactions of frozen workers, which would keep their sessions locked."""
        if self.dialect != "postgresql":
            return
        async with self._engine.connect() as connection:
            ended = len((await connection.execute(TERMINATE_FROZEN)).all())
        if ended:
            logger.warning("frozen_transactions.terminated", transactions=ended)

    async def _check_partitions(self) -> bool:
        _compare(await self.write(_store_partitions(self._partitions)), self._partitions)
        return True


async def _to_the_end(transaction: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(transaction, name="transaction")
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        task.exception()  # marks it as retrieved
        raise cancelled
    return task.result()


async def refuse_other_partitions(engine: AsyncEngine, partitions: int) -> None:
    """Check the number of partitions before anything is opened. An unavailable database is checked later, by `watch`.

    Raises:
        SystemExit: the database was created with another number of partitions (exit code 2).
    """
    if not await check_address(engine):
        return
    with suppress(SQLAlchemyError, OSError):
        async with engine.connect() as connection:
            stored = await connection.scalar(PARTITIONS)
        _compare(stored, partitions)


def _compare(stored: int | str | None, partitions: int) -> None:
    if stored is not None and int(stored) != partitions:
        raise config_error("PARTITIONS", f"is {partitions}, but the database was created with {stored}")


def _store_partitions(partitions: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        found = connection.scalar(PARTITIONS)
        if found is None:
            try:
                with connection.begin_nested():
                    connection.execute(insert(settings).values(name="partitions", value=str(partitions)))
            except IntegrityError:  # another worker stored it first
                found = connection.scalar(PARTITIONS)
        return int(found) if found is not None else partitions

    return work
