"""The queue of packets to one client, with its size in bytes."""

from __future__ import annotations

import asyncio
from typing import Any

from chat_gateway.transport.frames import Frame

NEARLY_EMPTY = 64 * 1024  # bytes; with less in the queue a client counts as reading


class OutboundQueue(asyncio.Queue[Any]):
    """The outbound packets of one client; `None` ends the writer.

    `size` is in bytes. The event `nearly_empty` is set while `size` is below `NEARLY_EMPTY`.
    """

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
        """Set `nearly_empty` because the client will not read any further."""
        self.nearly_empty.set()


def _bytes(item: Any) -> int:
    if isinstance(item, Frame):
        return len(item.wire)
    return len(item.data) if item is not None and isinstance(item.data, str | bytes) else 0
