"""What waits for one client to read it."""

from __future__ import annotations

import asyncio
from typing import Any

from chat_gateway.transport.frames import Frame

NEARLY_EMPTY = 64 * 1024  # bytes; with less waiting a client counts as reading


class OutboundQueue(asyncio.Queue[Any]):
    """The packets that wait for one client, with their bytes. `short` is set while few of them wait."""

    size: int
    nearly_empty: asyncio.Event

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.size = 0
        self.nearly_empty = asyncio.Event()
        self.nearly_empty.set()

    def _put(self, item: Any) -> None:
        self.size += _bytes(item)
        if self.size >= NEARLY_EMPTY:
            self.nearly_empty.clear()
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.size -= _bytes(item)
        if self.size < NEARLY_EMPTY:
            self.nearly_empty.set()
        return item

    def release_waiters(self) -> None:
        """Nobody will read any more: let go of whoever waits for that."""
        self.nearly_empty.set()


def _bytes(item: Any) -> int:
    if isinstance(item, Frame):
        return len(item.wire)
    return len(item.data) if item is not None and isinstance(item.data, str | bytes) else 0
