"""What waits for one client to read it."""

from __future__ import annotations

import asyncio
from typing import Any

from chat_gateway.transport.frames import Frame

SHORT = 64 * 1024  # bytes; with less waiting a client counts as reading


class Outbound(asyncio.Queue[Any]):
    """The packets that wait for one client, with their bytes. `short` is set while few of them wait."""

    size: int
    short: asyncio.Event

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.size = 0
        self.short = asyncio.Event()
        self.short.set()

    def _put(self, item: Any) -> None:
        self.size += _bytes(item)
        if self.size >= SHORT:
            self.short.clear()
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.size -= _bytes(item)
        if self.size < SHORT:
            self.short.set()
        return item

    def end(self) -> None:
        """Nobody will read any more: let go of whoever waits for that."""
        self.short.set()


def _bytes(item: Any) -> int:
    if isinstance(item, Frame):
        return len(item.wire)
    return len(item.data) if item is not None and isinstance(item.data, str | bytes) else 0
