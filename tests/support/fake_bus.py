"""The one fake bus: the in-process bus with its journal in memory, which records what passes and fails on request.

Queues, routing, order, redelivery and limits are those of the real in-process bus, which passes the bus contract suite.
Declare the queues of a mandatory exchange (`await bus.declare(queues=...)`), or its publications raise `Unavailable`.

    async with FakeBus() as bus:
        await bus.declare(queues=[log_queue(0, 1)])
        ...
        bus.deliver(turn_queue("echo"), Event("test", turn))
        await until(lambda: bus.subscriptions["turns.echo"].acked)
        assert bus.events(FinishReply)
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from shared.bus.in_process import InProcessBus
from shared.bus.in_process.queues import Entry
from shared.bus.in_process.subscription import InProcessSubscription
from shared.bus.port import REQUEST_TIMEOUT, Batch, Delivery
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.payload import Payload
from shared.contracts.topology import Exchange, Queue
from shared.errors import BackchatError, PayloadTooLarge, Unavailable

P = TypeVar("P", bound=Payload)

Publication = tuple[Exchange, str, Event]
Answer = Callable[[Event], Payload]


class FakeSubscription:
    """A subscription that records what was taken from it and acknowledged."""

    def __init__(self, inner: InProcessSubscription, queue: Queue, numbers: dict[bytes, int]) -> None:
        self.queue = queue
        self.acked: list[int] = []  # what `FakeBus.deliver` returned for these bodies; 0: not put there by `deliver`
        self.unacked: list[Delivery] = []
        self.closed = False
        self.inner = inner
        self._numbers = numbers

    async def take(self, most: int = 1_000) -> Batch:
        batch = await self.inner.take(most)
        self.unacked += batch.deliveries
        return batch

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        assert not self.closed
        if self.queue.single_active_consumer:
            assert self.unacked[: len(deliveries)] == list(deliveries), "not the oldest unacknowledged ones"
        for delivery in deliveries:
            self.unacked.remove(delivery)
        self.acked += [self._numbers.get(delivery.body, 0) for delivery in deliveries]
        await self.inner.ack(deliveries)

    async def bind(self, exchange: Exchange, key: str) -> None:
        await self.inner.bind(exchange, key)

    async def unbind(self, exchange: Exchange, key: str) -> None:
        await self.inner.unbind(exchange, key)

    async def close(self) -> None:
        self.closed = True
        self.unacked.clear()
        await self.inner.close()


class FakeBus(InProcessBus):
    """Enter it in a running loop, as the real one."""

    def __init__(self) -> None:
        super().__init__(None)
        self.up = True  # false: not connected
        self.looks = 0  # how often `connected` was read
        self.failures = 0  # the next so many calls of `publish` and `publish_all` are `Unavailable`
        self.event_bytes_max: float = math.inf  # above it an event is `PayloadTooLarge`
        self.answer: Answer | None = None  # answers requests in place of a queue; may raise
        self.declared: list[Queue] = []
        self.published: list[Publication] = []  # accepted by `publish` and `publish_all`, in order
        self.streamed: list[tuple[float, str, Event]] = []  # loop time, key, event
        self.requested: list[Publication] = []
        self.answers: list[tuple[Received, Event]] = []  # passed to `respond`
        self.subscriptions: dict[str, FakeSubscription] = {}  # the newest one of each queue, by `Queue.name`
        self._numbers: dict[bytes, int] = {}

    @property
    def connected(self) -> bool:
        """Whether it is entered and `up`."""
        self.looks += 1
        return self.up and super().connected

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        self.declared += queues
        await super().declare(exchanges, queues)

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        return self.publish_all([(exchange, key, event)])

    def publish_all(self, publications: Sequence[Publication]) -> Awaitable[None]:
        if self.failures:
            self.failures -= 1
            return _failed(Unavailable())
        if any(len(event.encode()) > self.event_bytes_max for _, _, event in publications):
            return _failed(PayloadTooLarge())
        self.published += publications
        return super().publish_all(publications)

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        self.streamed.append((asyncio.get_running_loop().time(), key, event))
        super().stream(exchange, key, event)

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        self.requested.append((exchange, key, event))
        if self.answer is None:
            return await super().request(exchange, key, event, timeout)
        return read_body(join([Event("test", self.answer(event), correlationid=event.id).encode()]))[0]

    def respond(self, to: Received, answer: Event) -> None:
        self.answers.append((to, answer))
        super().respond(to, answer)

    async def subscribe(self, queue: Queue, *, prefetch: int) -> FakeSubscription:
        subscription = FakeSubscription(await super().subscribe(queue, prefetch=prefetch), queue, self._numbers)
        self.subscriptions[queue.name] = subscription
        return subscription

    # --- what a test does and sees ---

    def deliver(self, queue: Queue, *events: Event, body: bytes | None = None, delivery_count: int = 0) -> int:
        """Put one body into a queue, as if a publisher had batched `events`; return its number (1, 2, ...).

        The queue is a shared one, or an exclusive one that has a subscription.
        """
        body = join(event.encode() for event in events) if body is None else body
        number = self._numbers[body] = len(self._numbers) + 1
        target = self.subscriptions[queue.name].inner.queue if queue.kind == "exclusive" else self._add(queue)
        target.reserve(len(body), forced=True)
        target.put(Entry("", body, count=delivery_count))
        return number

    def waiting(self, queue: Queue) -> int:
        """How many bodies of a shared queue no consumer has taken."""
        known = self._queues.get(queue.name)
        return 0 if known is None else len(list(known.ready()))

    def unacked(self, queue: Queue) -> int:
        """How many bodies of a queue its subscription has taken and not acknowledged."""
        subscription = self.subscriptions.get(queue.name)
        return 0 if subscription is None else len(subscription.unacked)

    def holds(self, queue: Queue) -> bool:
        """Whether anything of a shared queue is not acknowledged."""
        return bool(self.waiting(queue) or self.unacked(queue))

    def events(self, kind: type[P]) -> list[P]:
        """Return the published payloads of a type in order, each once however many keys it went to."""
        seen: dict[int, Payload] = {id(event.data): event.data for _, _, event in self.published}
        return [data for data in seen.values() if isinstance(data, kind)]


def _failed(error: BackchatError) -> Awaitable[None]:
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    outcome.set_exception(error)
    outcome.exception()  # a caller may drop it
    return outcome
