"""Consumes the queue of one chatbot: each body becomes a task that parses its turns, answers and acknowledges them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from chatbot_worker.rules.errors import CHATBOT_FAILED
from chatbot_worker.turns.publishing import Publisher
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import MalformedEvent, join, read_body
from shared.contracts.topology import Queue
from shared.contracts.turns import RunTurn
from shared.errors import Unavailable
from shared.runtime.service import Tasks

Answer = Callable[[Sequence[RunTurn], Delivery], Awaitable[bool]]


class Intake:
    """The consumer of one queue.

    Args:
        queue: of the chatbot's turns.
        bus: to consume from.
        publisher: for dead letters.
        answer: answers the turns of a delivery, and returns whether it may be acknowledged.
        on_dead_letter: called for each event that becomes a dead letter.
    """

    def __init__(
        self, queue: Queue, *, bus: Bus, publisher: Publisher, answer: Answer, on_dead_letter: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._bus = bus
        self._publisher = publisher
        self._answer = answer
        self._on_dead_letter = on_dead_letter
        self._prefetch = 0
        self._consumers: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        self._handlers: set[asyncio.Task[None]] = set()

    def consume(self, tasks: Tasks, prefetch: int) -> None:
        """Consume with at most `prefetch` unacknowledged bodies. Called again, it may only raise that number."""
        if prefetch > self._prefetch:
            work = self._consume(tasks, prefetch - self._prefetch)
            self._consumers.append(tasks.start(f"consumer of {self._queue.name}", work))
            self._prefetch = prefetch

    async def stop(self) -> None:
        """Take no more bodies. The subscriptions stay open, so that those taken can be acknowledged."""
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            consumer.cancel()
        if consumers:
            await asyncio.wait(consumers)

    async def idle(self, timeout: float | None = None) -> None:
        """Wait until every body that was taken is done, at most `timeout` seconds."""
        if self._handlers:
            await asyncio.wait(set(self._handlers), timeout=timeout)

    async def close(self) -> None:
        """Stop, and give unacknowledged bodies back to the broker."""
        await self.stop()
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.close()

    async def _consume(self, tasks: Tasks, prefetch: int) -> None:
        subscription = await self._bus.subscribe(self._queue, prefetch=prefetch)
        self._subscriptions.append(subscription)
        while True:
            taken = await subscription.take()
            for delivery in taken.deliveries:
                handler = tasks.start(f"turns of {self._queue.name}", self._handle(subscription, delivery))
                self._handlers.add(handler)
                handler.add_done_callback(self._handlers.discard)

    async def _handle(self, subscription: Subscription, delivery: Delivery) -> None:
        turns = await self._parse(delivery)
        if await self._answer(turns, delivery):
            with contextlib.suppress(Unavailable):  # it is delivered again, and found closed
                await subscription.ack([delivery])

    async def _parse(self, delivery: Delivery) -> list[RunTurn]:
        """Parse the turns of a body. What is none becomes a dead letter; the reply of a turn it names fails."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent as error:
            await self._publish_dead_letter(delivery.body, str(error), delivery)
            return []
        turns = []
        for event in events:
            try:
                if event.type != RunTurn.TYPE:
                    raise MalformedEvent("not a turn")
                turns.append(event.parse(RunTurn))
            except MalformedEvent as error:
                await self._publish_dead_letter(join([event.encode()]), str(error), delivery)
                failed = FinishReply.failed(event, CHATBOT_FAILED) if event.type == RunTurn.TYPE else None
                if failed is not None:
                    await self._publisher.finish([failed])
        return turns

    async def _publish_dead_letter(self, body: bytes, reason: str, delivery: Delivery) -> None:
        self._on_dead_letter()
        await self._publisher.dead_letter(self._queue, body, reason, delivery)
