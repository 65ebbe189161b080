"""Transactions that are never cancelled halfway, with one writer at a time on SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from auth_service.deadlines import REQUEST_DEADLINE, RETRY_AFTER, current_deadline
from shared.database.engine import probe_writes
from shared.database.errors import COMMIT_UNKNOWN, reason, sqlstate
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class _LostBeforeCommit(Exception):
    """The connection was lost before the commit was sent, so the transaction had no effect."""


# If connecting fails, SQLAlchemy does not wrap asyncpg's exceptions.
UNAVAILABLE_ERRORS = (
    DBAPIError,
    PoolTimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    _LostBeforeCommit,
)


class Transactions:
    """Runs each unit of work in a separate transaction; starts none after the request's deadline."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(read_only=True)
        self._running: set[asyncio.Task[Any]] = set()
        self._commit_unknown = False  # until a probe has written; each further COMMIT would hold a connection as well
        # SQLite allows one writer. A lock is fair and cheap; waiting in the driver is neither.
        self._writer: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    async def read(self, work: Work[T]) -> T:
        """Run a unit of work that only reads, and return its result.

        Raises:
            Unavailable: the database is away.
        """
        return await self._shielded(self._attempt_twice(self._reading, work))

    async def write(self, work: Work[T]) -> T:
        """Run and commit a unit of work, and return its result.

        Raises:
            IntegrityError: a constraint was violated.
            Unavailable: not committed, or unknown because the connection was lost during the commit.
        """
        if self._commit_unknown:
            raise Unavailable("The database confirms no writes.", retry_after=RETRY_AFTER)

        async def exclusive() -> T:
            async with self._writer:
                return await self._attempt_twice(self._engine, work)

        return await self._shielded(exclusive())

    async def probe(self) -> None:
        """Check that the database takes writes.

        Raises:
            Unavailable: it does not, or does not respond.
        """
        await self._shielded(probe_writes(self._engine))
        self._commit_unknown = False

    async def drain(self) -> None:
        """Wait for transactions whose callers were cancelled."""
        if self._running:
            await asyncio.wait(self._running, timeout=REQUEST_DEADLINE)

    async def _shielded(self, transaction: Coroutine[Any, Any, T]) -> T:
        """Run in a separate task that is never cancelled, because cancelling a query can leak its connection."""
        task = asyncio.create_task(_translated(transaction), name="auth transaction")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, in case the caller was cancelled

    async def _attempt_twice(self, engine: AsyncEngine, work: Work[T]) -> T:
        """Retry once on a new connection: after a restart of the database all pooled ones are broken."""
        try:
            return await self._attempt(engine, work)
        except _LostBeforeCommit:
            return await self._attempt(engine, work)

    async def _attempt(self, engine: AsyncEngine, work: Work[T]) -> T:
        async with engine.connect() as connection:
            if asyncio.get_running_loop().time() > current_deadline():
                raise TimeoutError
            try:
                result = await work(connection)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise _LostBeforeCommit from error
                raise
            try:
                await connection.commit()
            except DBAPIError as error:
                self._commit_unknown |= sqlstate(error) == COMMIT_UNKNOWN
                raise
            return result


async def _translated(transaction: Coroutine[Any, Any, T]) -> T:
    try:
        return await transaction
    except IntegrityError:
        raise
    except UNAVAILABLE_ERRORS as error:
        logger.warning("transaction.failed", reason=reason(error), collapse=reason(error))
        raise Unavailable("The database is away.", retry_after=RETRY_AFTER) from None
