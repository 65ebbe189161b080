"""A service as built by its composition root: its app, its background tasks, its readiness."""

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
    """Returns the missing dependencies of a service, as in `["broker"]`; empty when it is ready."""

    def __call__(self) -> Sequence[str]:
        """Return the names, in any order."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is built and not started.

    Entering `lifespan()` starts its consumers and background tasks; leaving it stops them gracefully. The process
    enters it before it listens and leaves it after it stopped listening. `drain` runs first on a stop, while
    connections are open. `reload` is called on SIGHUP to read the configuration again; it must not block. `degraded`
    names what the service lacks although it is ready.
    """

    name: str
    lifespan: Callable[[], AbstractAsyncContextManager[Tasks]]
    missing: Probe
    app: ASGIApp | None = None  # its public HTTP surface, if any
    drain: Callable[[], Awaitable[None]] | None = None
    reload: Callable[[], None] | None = None
    degraded: Probe | None = None


class Tasks:
    """Runs named background tasks; a task that fails ends the process.

    Use it as an async context manager; leaving it cancels the running tasks and waits for them.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start `work` as a task; an exception of it ends the process."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.critical("task.failed", task=task.get_name(), exc_info=error)
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
    """Close a stack; log an exception of a callback, after which the remaining callbacks still run."""
    try:
        await stack.aclose()
    except Exception:
        logger.exception("stop_step.failed")
