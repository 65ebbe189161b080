"""A bus in memory that records all publications, and fails as a test requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from shared.bus.port import REQUEST_TIMEOUT, Batch, Delivery
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.events import ChatbotsAnnounced, ReasoningStreamed, ReplyStreamed, TypingChanged
from shared.contracts.queries import Reply
from shared.contracts.topology import Exchange, Queue
from shared.contracts.turns import RunTurn, StopTurn
from shared.errors import Unavailable


@dataclass
class FakeSubscription:
    queue: Queue
    waiting: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    acked: list[int] = field(default_factory=list)
    closed: bool = False

    async def take(self, most: int = 1_000) -> Batch:
        found = [await self.waiting.get()]
        while not self.waiting.empty() and len(found) < most:
            found.append(self.waiting.get_nowait())
        return Batch(found)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        assert not self.closed
        self.acked += [delivery.tag for delivery in deliveries]

    async def bind(self, exchange: Exchange, key: str) -> None:
        raise NotImplementedError

    async def unbind(self, exchange: Exchange, key: str) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeBus:
    """`refused`: so many publications are `Unavailable` first. `open`: what `IsTurnOpen` is answered with, in turn."""

    up: bool = True
    looks: int = 0
    refused: int = 0
    open: list[bool | None] = field(default_factory=list)  # None: Unavailable
    published: list[tuple[str, str, Event]] = field(default_factory=list)
    streamed: list[tuple[float, str, Event]] = field(default_factory=list)
    asked: int = 0
    declared: list[Queue] = field(default_factory=list)
    subscriptions: dict[str, FakeSubscription] = field(default_factory=dict)
    tags: int = 0

    @property
    def connected(self) -> bool:
        self.looks += 1
        return self.up

    @property
    def alarms(self) -> Sequence[str]:
        return ()

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        self.declared += queues

    async def exists(self, queue: Queue) -> bool:
        return True

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        return self.publish_all([(exchange, key, event)])

    def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> Awaitable[None]:
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.refused:
            self.refused -= 1
            outcome.set_exception(Unavailable())
        else:
            for exchange, key, event in publications:
                event.encode()
                self.published.append((exchange.name, key, event))
            outcome.set_result(None)
        return outcome

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        event.encode()
        self.streamed.append((asyncio.get_running_loop().time(), key, event))

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        self.asked += 1
        answer = self.open.pop(0)
        if answer is None:
            raise Unavailable
        return read_body(join([Event("fake", Reply(result={"open": answer})).encode()]))[0]

    def respond(self, to: Received, answer: Event) -> None:
        raise NotImplementedError

    async def subscribe(self, queue: Queue, *, prefetch: int) -> FakeSubscription:
        return self.subscriptions.setdefault(queue.name, FakeSubscription(queue))

    # what a test does and looks at

    def deliver(self, queue: str, body: bytes, *, delivery_count: int = 0) -> int:
        """Put a body on a queue; its tag."""
        self.tags += 1
        self.subscriptions[queue].waiting.put_nowait(Delivery(body, "", delivery_count, self.tags, 1))
        return self.tags

    def stop(self, turn: RunTurn) -> None:
        """Publish a stop of a turn to the workers."""
        told = StopTurn(session_id=turn.session_id, message_id=turn.message_id)
        self.deliver("control.chatbot_worker", join([Event("test", told).encode()]))

    def finished(self) -> list[FinishReply]:
        return [event.data for _, _, event in self.published if isinstance(event.data, FinishReply)]

    def deltas(self) -> list[ReplyStreamed]:
        return [event.data for _, _, event in self.streamed if isinstance(event.data, ReplyStreamed)]

    def reasoning_deltas(self) -> list[ReasoningStreamed]:
        return [event.data for _, _, event in self.streamed if isinstance(event.data, ReasoningStreamed)]

    def typing(self) -> list[bool]:
        return [event.data.typing for _, _, event in self.streamed if isinstance(event.data, TypingChanged)]

    def announced(self) -> list[ChatbotsAnnounced]:
        return [event.data for _, _, event in self.published if isinstance(event.data, ChatbotsAnnounced)]
