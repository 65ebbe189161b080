"""Lanes: queues that keep the work of one socket in order, one for each session."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Lanes:
    """The lanes of one socket, by key. Bounded by the caller: the events in flight of a socket are counted."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def busy(self, key: str) -> bool:
        """Whether a lane has unfinished work."""
        return key in self._waiting

    def put(self, key: str, work: Work) -> None:
        """Run `work` after the earlier work of its lane. `work` must not raise."""
        if key in self._waiting:
            self._waiting[key].append(work)
            return
        self._waiting[key] = deque((work,))
        task = asyncio.create_task(self._run(key), name="lane")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: str) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                await waiting[0]()
                waiting.popleft()
        finally:
            del self._waiting[key]
