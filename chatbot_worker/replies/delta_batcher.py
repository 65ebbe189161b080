"""Text under way leaves in gusts: what all replies of a worker have to tell within some milliseconds goes together.

The bus makes one message of what is published in one turn of the loop. Many streams publish all the time, each alone:
then the broker, we and every gateway pay for a message, a confirm and an ack a piece of text.
"""

from __future__ import annotations

import asyncio

from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.topology import DELIVERY

SHORT, LONG = 0.003, 0.01  # seconds between two gusts; the long ones where there is much to tell
CROWD = 1_500  # events a second that are much: 200 people who are answered faster than they read


class Gusts:
    """Streams to `chat.delivery`: at once after a pause, else together when it is over."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: list[tuple[str, Event]] = []
        self._over: asyncio.TimerHandle | None = None
        self._pause = SHORT

    def tell(self, key: str, event: Event) -> None:
        """Tell who listens for this key; now or in a moment, in order."""
        if self._over is None:
            self._bus.stream(DELIVERY, key, event)
            self._wait()
        else:
            self._waiting.append((key, event))

    def flush(self) -> None:
        """Tell now what waits."""
        waiting, self._waiting = self._waiting, []
        for key, event in waiting:
            self._bus.stream(DELIVERY, key, event)

    def _blow(self) -> None:
        self._over = None
        self._pause = LONG if len(self._waiting) > CROWD * self._pause else SHORT
        if self._waiting:
            self._wait()
            self.flush()

    def _wait(self) -> None:
        self._over = asyncio.get_running_loop().call_later(self._pause, self._blow)
