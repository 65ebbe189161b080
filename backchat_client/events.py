"""How notices come to the program."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

from backchat_client.errors import Lagging
from backchat_client.notices import Notice

WAITING_MAX = 10_000  # notices that one reader may be behind

Listener = Callable[[Notice], None]

logger = logging.getLogger(__name__)


class Events:
    """An async iterator over all notices from its making on; it ends when the client is closed."""

    def __init__(self) -> None:
        self._waiting: deque[Notice] = deque()
        self._news = asyncio.Event()
        self._lagging = False
        self.closed = False

    def put(self, notice: Notice) -> None:
        """Add one, for the client to call."""
        if self.closed:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._lagging = self.closed = True
            self._waiting.clear()
        else:
            self._waiting.append(notice)
        self._news.set()

    def close(self) -> None:
        """End it after what is waiting."""
        self.closed = True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notice:
        """The next one.

        Raises:
            Lagging: more than 10,000 were waiting; they are gone.
        """
        while not self._waiting:
            if self._lagging:
                raise Lagging
            if self.closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class Audience:
    """Everybody who is told, in the same order."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._streams: list[Events] = []
        self._waiting: deque[Notice] = deque()
        self._telling = False

    def stream(self) -> Events:
        """A new reader."""
        stream = Events()
        self._streams = [known for known in self._streams if not known.closed]
        self._streams.append(stream)
        return stream

    def listen(self, listener: Listener) -> Callable[[], None]:
        """A new listener; what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def tell(self, notices: Iterable[Notice]) -> None:
        """Tell everybody; what a listener causes comes after what it is being told."""
        self._waiting.extend(notices)
        if self._telling:
            return
        self._telling = True
        while self._waiting:
            notice = self._waiting.popleft()
            for stream in self._streams:
                stream.put(notice)
            for listener in list(self._listeners):
                try:
                    listener(notice)
                except Exception:
                    logger.exception("a listener failed")
        self._telling = False

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.close()
