"""One consumer of one queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from shared.bus.in_process.queues import Entry, MessageQueue
from shared.bus.port import Batch, Delivery
from shared.contracts.topology import Exchange
from shared.errors import Unavailable


class Binder(Protocol):
    """Where bindings are kept."""

    def bind(self, exchange: Exchange, key: str, queue: MessageQueue) -> None:
        """Add one."""

    def unbind(self, exchange: Exchange, key: str, queue: MessageQueue) -> None:
        """Take one away."""


class InProcessSubscription:
    """Takes straight from the queue, so nothing is handed out before it is asked for."""

    def __init__(
        self,
        queue: MessageQueue,
        routes: Binder,
        ended: Callable[[InProcessSubscription], None],
        *,
        prefetch: int,
        epoch: int,
        tags: Iterator[int],
    ) -> None:
        self.queue = queue
        self._routes = routes
        self._ended = ended
        self.prefetch = prefetch
        self._epoch = epoch
        self._tags = tags
        self._unacked: dict[int, Entry] = {}
        self._sleepers: list[asyncio.Future[None]] = []
        self._closed = False
        queue.add_consumer(self)

    async def take(self, most: int = 1_000) -> Batch:
        """See the port."""
        while True:
            if self._closed:
                raise Unavailable("this subscription is closed")
            entries = self.queue.take(self, min(most, self.prefetch - len(self._unacked)))
            gap, self.queue.lost = self.queue.lost, False
            gap = gap and self.queue.spec.kind == "exclusive"
            if entries or gap:
                return Batch([self._hand_out(entry) for entry in entries], gap)
            sleeper = asyncio.get_running_loop().create_future()
            self._sleepers.append(sleeper)
            try:
                await sleeper
            finally:
                if sleeper.cancelled() and sleeper in self._sleepers:  # `wake` may have let it go meanwhile
                    self._sleepers.remove(sleeper)

    def _hand_out(self, entry: Entry) -> Delivery:
        tag = next(self._tags)
        self._unacked[tag] = entry
        return Delivery(entry.body, entry.key, entry.count, tag, self._epoch)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        for delivery in deliveries:
            entry = self._unacked.pop(delivery.tag, None) if delivery.epoch == self._epoch else None
            if entry is not None:
                self.queue.settle(entry)
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
        self.end()

    def end(self) -> None:
        """Hand back in order what was not acked; whoever waits in `take` gets `Unavailable`."""
        if self._closed:
            return
        self._closed = True
        for entry in self._unacked.values():
            entry.count += 1
        self.queue.put_back(self._unacked.values())
        self._unacked.clear()
        self.queue.remove_consumer(self)
        self.wake()
        self._ended(self)

    def wake(self) -> None:
        """Look again whether there is something to take."""
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
