"""Batches the deltas of all replies of a worker, so that they share messages on the bus.

The bus puts the events that are published in one pass of the event loop into one message. Without batching, many
streams would publish one event each, and broker, worker and every gateway would handle a message for each delta.
"""

from __future__ import annotations

import asyncio

from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.topology import DELIVERY

INTERVAL_MIN, INTERVAL_MAX = 0.003, 0.01  # seconds between two batches; the longer one above `BUSY_RATE`
BUSY_RATE = 1_500  # events per second, as for 200 people whose replies stream faster than they read


class DeltaBatcher:
    """Streams events to `chat.delivery`: at once when none was sent within the interval, else in the next batch."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._pending: list[tuple[str, Event]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._interval = INTERVAL_MIN

    def stream(self, key: str, event: Event) -> None:
        """Send an event under a routing key, now or with the next batch. The order is kept."""
        if self._timer is None:
            self._bus.stream(DELIVERY, key, event)
            self._start_timer()
        else:
            self._pending.append((key, event))

    def flush(self) -> None:
        """Send the pending events now."""
        pending, self._pending = self._pending, []
        for key, event in pending:
            self._bus.stream(DELIVERY, key, event)

    def _send_batch(self) -> None:
        self._timer = None
        self._interval = INTERVAL_MAX if len(self._pending) > BUSY_RATE * self._interval else INTERVAL_MIN
        if self._pending:
            self._start_timer()
            self.flush()

    def _start_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._send_batch)
