"""The consumer of one chatbot's queue: each body becomes a task that reads it, has it settled, and acks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from chatbot_worker.replies.finishing import unreadable
from chatbot_worker.turns.publishing import Publisher
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.envelope import MalformedEvent, join, read_body
from shared.contracts.topology import Queue
from shared.contracts.turns import RunTurn
from shared.errors import Unavailable
from shared.runtime.service import Tasks

Settle = Callable[[Sequence[RunTurn], Delivery], Awaitable[bool]]


class Intake:
    """Takes bodies off a queue. `settle` answers their turns and says whether they may be acked.

    `dead` is told of each event that is buried.
    """

    def __init__(
        self, queue: Queue, *, bus: Bus, publisher: Publisher, settle: Settle, dead: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._bus = bus
        self._publisher = publisher
        self._settle = settle
        self._dead = dead
        self._prefetch = 0
        self._consumers: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        self._handlers: set[asyncio.Task[None]] = set()

    def consume(self, tasks: Tasks, prefetch: int) -> None:
        """Begin to take, with so many bodies unacked at most; later, let it be more (it never becomes less)."""
        if prefetch > self._prefetch:
            work = self._consume(tasks, prefetch - self._prefetch)
            self._consumers.append(tasks.start(f"consumer of {self._queue.name}", work))
            self._prefetch = prefetch

    async def stop(self) -> None:
        """Take no more. The subscriptions stay open: `take` of a closed one is an error."""
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            consumer.cancel()
        if consumers:
            await asyncio.wait(consumers)

    async def idle(self, timeout: float | None = None) -> None:
        """Wait until all that was taken is settled, or for `timeout` seconds."""
        if self._handlers:
            await asyncio.wait(set(self._handlers), timeout=timeout)

    async def close(self) -> None:
        """Give back what is not acked."""
        await self.stop()
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.close()

    async def _consume(self, tasks: Tasks, prefetch: int) -> None:
        subscription = await self._bus.subscribe(self._queue, prefetch=prefetch)
        self._subscriptions.append(subscription)
        while True:
            for delivery in (await subscription.take()).deliveries:
                handler = tasks.start(f"turns of {self._queue.name}", self._handle(subscription, delivery))
                self._handlers.add(handler)
                handler.add_done_callback(self._handlers.discard)

    async def _handle(self, subscription: Subscription, delivery: Delivery) -> None:
        turns = await self._read(delivery)
        if await self._settle(turns, delivery):
            with contextlib.suppress(Unavailable):  # then it comes again, and is over
                await subscription.ack([delivery])

    async def _read(self, delivery: Delivery) -> list[RunTurn]:
        """The turns of a body; what is none goes to the dead letters, and its reply, if it names one, fails."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent as error:
            await self._bury(delivery.body, str(error), delivery)
            return []
        turns = []
        for event in events:
            try:
                if event.type != RunTurn.TYPE:
                    raise MalformedEvent("not a turn")
                turns.append(event.parse(RunTurn))
            except MalformedEvent as error:
                await self._bury(join([event.encode()]), str(error), delivery)
                if (failed := unreadable(event)) is not None:
                    await self._publisher.finish([failed])
        return turns

    async def _bury(self, body: bytes, reason: str, delivery: Delivery) -> None:
        self._dead()
        await self._publisher.bury(self._queue, body, reason, delivery)
