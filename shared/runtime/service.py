"""A service as its composition root hands it over: what it serves, what it runs, what it still lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
from starlette.types import ASGIApp

logger = structlog.get_logger(__name__)


class Probe(Protocol):
    """Names what a service still lacks to do its work, as in `["broker"]`; empty when it is ready."""

    def __call__(self) -> Sequence[str]:
        """The names, in no order."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service, built and not yet running.

    Entering `lifespan()` starts its consumers and background tasks; leaving it is the graceful stop.
    The runner enters it before anything listens and leaves it after listening has ended. `drain` runs
    first of all on a stop, while connections are still open. `reload` is told when somebody asks for
    the configuration to be read again (SIGHUP); it must not wait.
    """

    name: str
    lifespan: Callable[[], AbstractAsyncContextManager[Tasks]]
    missing: Probe
    app: ASGIApp | None = None  # its public HTTP surface, if it has one
    drain: Callable[[], Awaitable[None]] | None = None
    reload: Callable[[], None] | None = None


class Tasks:
    """Background tasks that are named and watched: one that dies takes the process down, with a reason.

    Use as an async context manager; leaving it cancels what still runs and waits for it.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` for as long as the service lives; its end with an exception ends the process."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.critical("task died", task=task.get_name(), exc_info=error)
        if not self.failed.done():
            self.failed.set_result(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def close_all(stack: AsyncExitStack) -> None:
    """Leave a stack; a step that fails is logged and the rest goes on (each step is its own callback)."""
    try:
        await stack.aclose()
    except Exception:
        logger.exception("a step of the stop failed")
