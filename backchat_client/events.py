"""Delivers notices to the program."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

from backchat_client.errors import Lagging
from backchat_client.notices import Notice

BUFFERED_MAX = 10_000  # notices buffered for one reader; above it, the reader gets `Lagging`

Listener = Callable[[Notice], None]

logger = logging.getLogger(__name__)


class Events:
    """An async iterator over all notices since its creation. It ends when the client is closed."""

    def __init__(self) -> None:
        self._buffered: deque[Notice] = deque()
        self._changed = asyncio.Event()
        self._lagging = False
        self.closed = False

    def put(self, notice: Notice) -> None:
        """Append a notice. Called by the client."""
        if self.closed:
            return
        if len(self._buffered) >= BUFFERED_MAX:
            self._lagging = self.closed = True
            self._buffered.clear()
        else:
            self._buffered.append(notice)
        self._changed.set()

    def close(self) -> None:
        """End the iterator after the buffered notices."""
        self.closed = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notice:
        """Return the next notice.

        Raises:
            Lagging: more than 10,000 notices were buffered; they are discarded.
        """
        while not self._buffered:
            if self._lagging:
                raise Lagging
            if self.closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._buffered.popleft()


class Subscribers:
    """All listeners and streams. Each gets the notices in the same order."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._streams: list[Events] = []
        self._buffered: deque[Notice] = deque()
        self._publishing = False

    def stream(self) -> Events:
        """Return a new stream."""
        stream = Events()
        self._streams = [known for known in self._streams if not known.closed]
        self._streams.append(stream)
        return stream

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Register a listener; return a function that unregisters it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def publish(self, notices: Iterable[Notice]) -> None:
        """Deliver notices. Notices that a listener causes are delivered after the current one."""
        self._buffered.extend(notices)
        if self._publishing:
            return
        self._publishing = True
        while self._buffered:
            notice = self._buffered.popleft()
            for stream in self._streams:
                stream.put(notice)
            for listener in list(self._listeners):
                try:
                    listener(notice)
                except Exception:
                    logger.exception("listener.failed")
        self._publishing = False

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.close()
