"""Transactions on either dialect, and whether the database can be worked with at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.storage.tables import SCHEMA, settings
from shared.database.migrations import is_current
from shared.runtime.settings import refuse

logger = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"
PROBE_INTERVAL = 5.0  # seconds between looks at a database that answers
PROBE_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between looks at one that does not; the last one repeats

# PostgreSQL's own timeouts leave one gap: a backend that waits for a frozen client in the middle of a statement
# (its result half read, its next message half sent) counts as active and holds its locks for as long as it likes.
FROZEN = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = 'backchat'
      AND xact_start IS NOT NULL AND wait_event_type = 'Client'
      AND state_change < clock_timestamp() - interval '3 seconds'
    """)

PARTITIONS = select(settings.c.value).where(settings.c.name == "partitions")

T = TypeVar("T")


class Database:
    """One engine: writes one after another on SQLite, reads beside them; synchronous work in one greenlet."""

    def __init__(self, engine: AsyncEngine, partitions: int) -> None:
        self._engine = engine
        self._partitions = partitions
        postgresql = engine.dialect.name == "postgresql"
        self._writer = nullcontext() if postgresql else asyncio.Lock()
        self._reading = engine.execution_options(
            **({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if postgresql else {}),
            read_only=True,
        )
        self._ready = asyncio.Event()
        self._doubted = asyncio.Event()
        self._missing = ["database"]

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self._engine.dialect.name

    @property
    def missing(self) -> Sequence[str]:
        """`database` or `migrations`, while they are."""
        return self._missing

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and commit."""
        async with self._writer, self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot; once more if the pooled connection turns out to be dead."""
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
        """Wait until the database answers and has our tables."""
        await self._ready.wait()

    def doubt(self) -> None:
        """Something failed: nobody begins before the database has been looked at again."""
        self._ready.clear()
        self._doubted.set()
        self._missing = ["database"]

    async def watch(self) -> None:
        """Look after the database for as long as the service lives.

        Raises:
            SystemExit: it was made with another number of partitions (exit code 2, one line).
        """
        failures = 0
        agreed = False
        while True:
            try:
                if not await is_current(self._engine, MIGRATIONS, schema=SCHEMA):
                    self.doubt()
                    self._missing = ["migrations"]
                else:
                    agreed = agreed or await self._agree()
                    await self._end_frozen()
                    self._missing = []
                    self._ready.set()
                    failures = 0
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, we look again
                self.doubt()
                if failures == 0:
                    logger.warning("database away", reason=type(error).__name__)
            if self._missing:
                await asyncio.sleep(PROBE_BACKOFF[min(failures, len(PROBE_BACKOFF) - 1)])
                failures += 1
            else:
                await self._pause()

    async def _pause(self) -> None:
        """Sleep, but look at once when somebody doubts."""
        self._doubted.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._doubted.wait(), PROBE_INTERVAL)

    async def _end_frozen(self) -> None:
        """End transactions whose worker does not answer PostgreSQL: else nobody gets at the sessions that they hold."""
        if self.dialect != "postgresql":
            return
        async with self._engine.connect() as connection:
            ended = len((await connection.execute(FROZEN)).all())
        if ended:
            logger.warning("transactions of frozen workers ended", transactions=ended)

    async def _agree(self) -> bool:
        _compare(await self.write(_keep_partitions(self._partitions)), self._partitions)
        return True


async def refuse_other_partitions(engine: AsyncEngine, partitions: int) -> None:
    """End at once, before anything is opened, where a look can already tell; a database that is away cannot.

    Raises:
        SystemExit: the database was made with another number of partitions.
    """
    with suppress(SQLAlchemyError, OSError, TimeoutError):
        async with engine.connect() as connection:
            kept = await connection.scalar(PARTITIONS)
        _compare(kept, partitions)


def _compare(kept: int | str | None, partitions: int) -> None:
    if kept is not None and int(kept) != partitions:
        raise refuse("PARTITIONS", f"is {partitions}, but the database was made with {kept}")


def _keep_partitions(partitions: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        found = connection.scalar(PARTITIONS)
        if found is None:
            try:
                with connection.begin_nested():
                    connection.execute(insert(settings).values(name="partitions", value=str(partitions)))
            except IntegrityError:  # another worker was faster
                found = connection.scalar(PARTITIONS)
        return int(found) if found is not None else partitions

    return work
