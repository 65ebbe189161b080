"""Events that wait to be published: a buffer for each (exchange, key), and the callers that wait for their outcome."""

from __future__ import annotations

import asyncio
from collections import deque

from shared.bus.in_process.queues import Entry, MessageQueue
from shared.contracts.envelope import join
from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, Exchange
from shared.errors import Unavailable

EVENT_OVERHEAD = 1024  # bytes of memory that a pending event costs in addition to its envelope, about


class Confirmation:
    """The outcome that one caller waits for, of one event or of several published together."""

    __slots__ = ("_error", "_left", "deadline", "future")

    def __init__(self, future: asyncio.Future[None], count: int, deadline: float) -> None:
        self.future = future
        self.deadline = deadline  # the loop's time
        self._left = count
        self._error: Exception | None = None

    def resolve_one(self, error: Exception | None = None) -> None:
        """Count one event as stored or failed; the first error of several is the outcome."""
        self._left -= 1
        self._error = self._error or error
        if self._left == 0:
            self.resolve(self._error)

    def resolve(self, error: Exception | None) -> None:
        """Set the outcome unless it is set."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)
            self.future.exception()  # read, so that asyncio does not report one that the caller drops


class KeyBuffer:
    """The pending events of one exchange and routing key, in the order of the calls."""

    __slots__ = ("events", "exchange", "key")

    def __init__(self, exchange: Exchange, key: str) -> None:
        self.exchange = exchange
        self.key = key
        self.events: deque[tuple[bytes, Confirmation | None]] = deque()

    def next_batch(self) -> RoutedBatch:
        """Remove as many events as one body takes: `BATCH_EVENTS` and `BATCH_BYTES`, or one larger event."""
        encoded: list[bytes] = []
        confirmations: list[Confirmation] = []
        size = 0
        while self.events and len(encoded) < BATCH_EVENTS:
            event, confirmation = self.events[0]
            if encoded and size + len(event) > BATCH_BYTES:
                break
            self.events.popleft()
            size += len(event)
            encoded.append(event)
            if confirmation is not None:
                confirmations.append(confirmation)
        return RoutedBatch(self.key, join(encoded), confirmations, cost=size + len(encoded) * EVENT_OVERHEAD)


class RoutedBatch:
    """One body and the queues it is routed to, each with the body's journal id, or 0.

    `cost`: the bytes that its events counted among the pending ones.
    """

    __slots__ = ("body", "confirmations", "cost", "key", "targets")

    def __init__(self, key: str, body: bytes, confirmations: list[Confirmation], cost: int) -> None:
        self.key = key
        self.body = body
        self.confirmations = confirmations
        self.cost = cost
        self.targets: list[tuple[MessageQueue, int]] = []

    def deliver(self) -> None:
        """Put the body into its queues and confirm its events."""
        for queue, number in self.targets:
            queue.put(Entry(self.key, self.body, number))
        for confirmation in self.confirmations:
            confirmation.resolve_one()

    def fail(self, reason: str) -> None:
        """Release the room in its queues and fail its events."""
        for queue, _ in self.targets:
            queue.release(len(self.body))
        for confirmation in self.confirmations:
            confirmation.resolve_one(Unavailable(reason))
