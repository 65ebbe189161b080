"""A subscription: one consumer of one queue in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from shared.bus.in_process.queues import Entry, MessageQueue
from shared.bus.port import Batch, Delivery
from shared.contracts.topology import Exchange
from shared.errors import Unavailable


class Binder(Protocol):
    """The table of bindings."""

    def bind(self, exchange: Exchange, key: str, queue: MessageQueue) -> None:
        """Add a binding."""

    def unbind(self, exchange: Exchange, key: str, queue: MessageQueue) -> None:
        """Remove a binding."""


class InProcessSubscription:
    """See `shared.bus.port.Subscription`. Takes from the queue on demand, so no delivery waits in a buffer."""

    def __init__(
        self,
        queue: MessageQueue,
        routes: Binder,
        on_close: Callable[[InProcessSubscription], None],
        *,
        prefetch: int,
        epoch: int,
        tags: Iterator[int],
    ) -> None:
        self.queue = queue
        self._routes = routes
        self._on_close = on_close
        self.prefetch = prefetch
        self._epoch = epoch
        self._tags = tags
        self._unacked: dict[int, Entry] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False
        queue.add_consumer(self)

    async def take(self, most: int = 1_000) -> Batch:
        """See the port."""
        while True:
            if self._closed:
                raise Unavailable("this subscription is closed")
            entries = self.queue.take(self, min(most, self.prefetch - len(self._unacked)))
            gap, self.queue.overflowed = self.queue.overflowed, False
            gap = gap and self.queue.spec.kind == "exclusive"
            if entries or gap:
                return Batch([self._deliver(entry) for entry in entries], gap)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter.cancelled() and waiter in self._waiters:  # `wake` may have removed it
                    self._waiters.remove(waiter)

    def _deliver(self, entry: Entry) -> Delivery:
        tag = next(self._tags)
        self._unacked[tag] = entry
        return Delivery(entry.body, entry.key, entry.count, tag, self._epoch)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        for delivery in deliveries:
            entry = self._unacked.pop(delivery.tag, None) if delivery.epoch == self._epoch else None
            if entry is not None:
                self.queue.discard(entry)
        self.wake()  # there may be room below the prefetch again

    async def bind(self, exchange: Exchange, key: str) -> None:
        """See the port."""
        if not self._closed:
            self._routes.bind(exchange, key, self.queue)

    async def unbind(self, exchange: Exchange, key: str) -> None:
        """See the port."""
        self._routes.unbind(exchange, key, self.queue)

    async def close(self) -> None:
        """See the port."""
        self.stop()

    def stop(self) -> None:
        """Requeue in order what was not acknowledged; waiting calls of `take` raise `Unavailable`."""
        if self._closed:
            return
        self._closed = True
        for entry in self._unacked.values():
            entry.count += 1
        self.queue.requeue(self._unacked.values())
        self._unacked.clear()
        self.queue.remove_consumer(self)
        self.wake()
        self._on_close(self)

    def wake(self) -> None:
        """Check again whether there is an entry to take."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
