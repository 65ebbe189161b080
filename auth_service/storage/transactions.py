"""How auth works with its database: transactions are never cut off half-way; SQLite gets one writer at a time."""

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

from auth_service.deadlines import REQUEST_DEADLINE, RETRY_AFTER, latest
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class _LostBeforeCommit(Exception):
    """The connection turned out to be dead before the commit was sent: certainly nothing was done."""


# asyncpg's own come unwrapped where connecting fails.
AWAY = (DBAPIError, PoolTimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, _LostBeforeCommit)


class Transactions:
    """Runs units of work, each in a transaction of its own; none is begun after the request's deadline."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(read_only=True)
        self._running: set[asyncio.Task[Any]] = set()
        # SQLite has one writer: waiting here is fair and cheap, waiting in the driver is neither.
        self._writer: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    async def read(self, work: Work[T]) -> T:
        """The result of `work`, which only reads.

        Raises:
            Unavailable: the database is away.
        """
        return await self._bounded(self._attempt_twice(self._reading, work))

    async def write(self, work: Work[T]) -> T:
        """The result of `work`, committed.

        Raises:
            IntegrityError: a constraint refused it.
            Unavailable: not done, or unknown whether done (the connection was lost at the commit).
        """

        async def alone() -> T:
            async with self._writer:
                return await self._attempt_twice(self._engine, work)

        return await self._bounded(alone())

    async def settle(self) -> None:
        """Wait for what callers no longer wait for."""
        if self._running:
            await asyncio.wait(self._running, timeout=REQUEST_DEADLINE)

    async def _bounded(self, transaction: Coroutine[Any, Any, T]) -> T:
        """In a task of its own: cancelling a query half-way can leak its connection, so nobody ever does."""
        task = asyncio.create_task(_translated(transaction), name="auth transaction")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits for it any more

    async def _attempt_twice(self, engine: AsyncEngine, work: Work[T]) -> T:
        """Once more where the first connection turned out to be dead, as all pooled ones are after a restart."""
        try:
            return await self._attempt(engine, work)
        except _LostBeforeCommit:
            return await self._attempt(engine, work)

    async def _attempt(self, engine: AsyncEngine, work: Work[T]) -> T:
        async with engine.connect() as connection:
            if asyncio.get_running_loop().time() > latest():
                raise TimeoutError
            try:
                result = await work(connection)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise _LostBeforeCommit from error
                raise
            await connection.commit()
            return result


async def _translated(transaction: Coroutine[Any, Any, T]) -> T:
    try:
        return await transaction
    except IntegrityError:
        raise
    except AWAY as error:
        logger.warning("database unavailable", reason=type(getattr(error, "orig", error)).__name__)
        raise Unavailable("The database is away.", retry_after=RETRY_AFTER) from None
