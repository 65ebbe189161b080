"""What is pending: the events of each (exchange, key) in order, and who waits for their outcome."""

from __future__ import annotations

import asyncio
from collections import deque

from shared.bus.in_process.queues import Entry, MessageQueue
from shared.contracts.envelope import join
from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, Exchange
from shared.errors import Unavailable

EVENT_OVERHEAD = 1024  # bytes of memory that a pending event costs besides its envelope, about


class Confirm:
    """One awaited outcome, of one event or of several published together."""

    __slots__ = ("_error", "_left", "deadline", "future")

    def __init__(self, future: asyncio.Future[None], count: int, deadline: float) -> None:
        self.future = future
        self.deadline = deadline
        self._left = count
        self._error: Exception | None = None

    def settle(self, error: Exception | None = None) -> None:
        """One of the events is held, or has failed; the first error of several is the outcome."""
        self._left -= 1
        self._error = self._error or error
        if self._left == 0:
            self.finish(self._error)

    def finish(self, error: Exception | None) -> None:
        """Tell the outcome, unless it is known or nobody waits any more."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)
            self.future.exception()  # a caller that does not care is not told of by the event loop either


class Lane:
    """The pending events of one (exchange, key), oldest first."""

    __slots__ = ("events", "exchange", "key")

    def __init__(self, exchange: Exchange, key: str) -> None:
        self.exchange = exchange
        self.key = key
        self.events: deque[tuple[bytes, Confirm | None]] = deque()

    def next_parcel(self) -> Parcel:
        """The events of one body."""
        encoded: list[bytes] = []
        confirms: list[Confirm] = []
        size = 0
        while self.events and len(encoded) < BATCH_EVENTS:
            event, confirm = self.events[0]
            if encoded and size + len(event) > BATCH_BYTES:
                break
            self.events.popleft()
            size += len(event)
            encoded.append(event)
            if confirm is not None:
                confirms.append(confirm)
        return Parcel(self.key, join(encoded), confirms, cost=size + len(encoded) * EVENT_OVERHEAD)


class Parcel:
    """One body on its way into the queues that it is routed to; with the journal id in each, or 0.

    `cost`: what its events counted for among the pending ones.
    """

    __slots__ = ("body", "confirms", "cost", "key", "targets")

    def __init__(self, key: str, body: bytes, confirms: list[Confirm], cost: int) -> None:
        self.key = key
        self.body = body
        self.confirms = confirms
        self.cost = cost
        self.targets: list[tuple[MessageQueue, int]] = []

    def deliver(self) -> None:
        """Hand the body to its queues."""
        for queue, number in self.targets:
            queue.put(Entry(self.key, self.body, number))
        for confirm in self.confirms:
            confirm.settle()

    def fail(self, reason: str) -> None:
        """It is held nowhere."""
        for queue, _ in self.targets:
            queue.release(len(self.body))
        for confirm in self.confirms:
            confirm.settle(Unavailable(reason))
