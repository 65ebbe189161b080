"""A bus in memory that keeps the port's promises as far as one worker needs them, and fails on request."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from shared.bus.port import Batch, Delivery
from shared.contracts.envelope import Event, Received, join
from shared.contracts.topology import Exchange, Queue
from shared.errors import PayloadTooLarge, Unavailable

P = TypeVar("P")


@dataclass
class FakeQueue:
    """Bodies in order that nobody holds."""

    ready: list[Delivery] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FakeSubscription:
    """One consumer."""

    def __init__(self, bus: FakeBus, name: str) -> None:
        self._bus, self._name, self._queue = bus, name, bus.queues[name]
        self._held: list[Delivery] = []

    async def take(self, most: int = 1_000) -> Batch:
        while not self._queue.ready:
            self._queue.changed.clear()
            await self._queue.changed.wait()
        taken, self._queue.ready = self._queue.ready[:most], self._queue.ready[most:]
        self._held += taken
        self._bus.busy[self._name] += len(taken)
        return Batch(taken)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        assert self._held[: len(deliveries)] == list(deliveries)  # the oldest ones, in order
        del self._held[: len(deliveries)]
        self._bus.busy[self._name] -= len(deliveries)
        self._bus.told.set()

    async def close(self) -> None:
        back = [replace(delivery, delivery_count=delivery.delivery_count + 1) for delivery in self._held]
        self._bus.busy[self._name] -= len(back)
        self._queue.ready, self._held = back + self._queue.ready, []
        self._queue.changed.set()


class FakeBus:
    """Everything published is kept; what has a declared queue can be taken."""

    connected = True

    def __init__(self) -> None:
        self.queues: dict[str, FakeQueue] = defaultdict(FakeQueue)
        self.bindings: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.published: list[tuple[Exchange, str, Event]] = []
        self.answers: list[tuple[Received, Event]] = []
        self.opened: list[tuple[Received, Event]] = []  # answers of which a test has seen enough
        self.dialect = ""
        self.busy: dict[str, int] = defaultdict(int)
        self.failures = 0  # so many of the next publications fail
        self.event_bytes_max: float = math.inf
        self.told = asyncio.Event()
        self._tag = 0

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        for queue in queues:
            for exchange, key in queue.bindings:
                self.bindings[exchange.name, key].add(queue.name)
        self.told.set()

    async def subscribe(self, queue: Queue, *, prefetch: int) -> FakeSubscription:
        await self.declare(queues=[queue])
        return FakeSubscription(self, queue.name)

    def put(self, queue: Queue, *events: Event, body: bytes | None = None, delivery_count: int = 0) -> None:
        """One body with these events, as if a publisher had gathered them."""
        self._tag += 1
        body = join(event.encode() for event in events) if body is None else body
        self.queues[queue.name].ready.append(Delivery(body, "", delivery_count, self._tag, 1))
        self.queues[queue.name].changed.set()

    async def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable
        if any(len(event.encode()) > self.event_bytes_max for _, _, event in publications):
            raise PayloadTooLarge
        for exchange, key, event in publications:
            self.published.append((exchange, key, event))
            queues = self.bindings[exchange.name, key]
            assert queues or not exchange.mandatory, (exchange.name, key)
            for name in queues:
                self.put(Queue(name, "quorum"), event)
        self.told.set()

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        return self.publish_all([(exchange, key, event)])

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        self.published.append((exchange, key, event))

    def respond(self, to: Received, answer: Event) -> None:
        self.answers.append((to, answer))
        self.told.set()

    def held(self, queue: Queue) -> bool:
        """Whether anything of a queue is not acked."""
        return bool(self.queues[queue.name].ready or self.busy[queue.name])

    def events(self, kind: type[P]) -> list[P]:
        """Payloads of a type in order of publication, each once however many keys it went to."""
        seen: dict[int, Any] = {id(event.data): event.data for _, _, event in self.published}
        return [data for data in seen.values() if isinstance(data, kind)]

    async def until(self, condition: Any) -> Any:
        """Wait until `condition()` is true, looking again when something was published, and now and then."""
        async with asyncio.timeout(20):
            while not (result := condition()):
                self.told.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.told.wait(), 0.05)
        return result
