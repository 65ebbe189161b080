"""Text under way leaves in gusts: what all replies of a worker have to tell within some milliseconds goes together.

The bus makes one message of what is published in one turn of the loop. Many streams publish all the time, each alone:
then the broker, we and every gateway pay for a message, a confirm and an ack a piece of text.
"""

from __future__ import annotations

import asyncio

from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.topology import DELIVERY

EVERY = 0.01  # seconds; nobody sees it, and 200 streams of ten pieces a second fill each gust with twenty


class Gusts:
    """Streams to `chat.delivery`: at once after a pause of `EVERY`, else together when that time is over."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: list[tuple[str, Event]] = []
        self._over: asyncio.TimerHandle | None = None

    def tell(self, key: str, event: Event) -> None:
        """Tell who listens for this key; now or in a moment, in order."""
        if self._over is None:
            self._bus.stream(DELIVERY, key, event)
            self._over = asyncio.get_running_loop().call_later(EVERY, self._blow)
        else:
            self._waiting.append((key, event))

    def flush(self) -> None:
        """Tell now what waits."""
        waiting, self._waiting = self._waiting, []
        for key, event in waiting:
            self._bus.stream(DELIVERY, key, event)

    def _blow(self) -> None:
        self._over = None
        if self._waiting:
            self._over = asyncio.get_running_loop().call_later(EVERY, self._blow)
            self.flush()
