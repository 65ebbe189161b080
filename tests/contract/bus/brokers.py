"""Helpers of the suite: how to open each bus, unique names, numbered events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.envelope import Event, Received, read_body
from shared.contracts.queries import Reply
from shared.contracts.topology import Exchange, Queue

PATIENCE = 20.0  # seconds that a test waits for something that must happen
ABSENCE = 0.3  # seconds without a delivery that prove that none arrives


@dataclass(frozen=True)
class Broker:
    """`open` returns a new bus on the same broker, as after a restart of the process.

    `exact`: only deliveries that were taken increment the delivery count.
    """

    open: Callable[[], AbstractAsyncContextManager[Bus]]
    exact: bool


def in_process(path: Path) -> Broker:
    return Broker(lambda: InProcessBus(path), exact=True)


def rabbitmq(url: str) -> Broker:
    from shared.bus.rabbitmq import RabbitMQBus  # noqa: PLC0415 - the in-process half needs no AMQP library

    return Broker(
        lambda: RabbitMQBus(url, name="contract"), exact=False
    )  # also counts deliveries that were prefetched only


@dataclass(frozen=True)
class Names:
    """Exchanges and queues under a random prefix."""

    prefix: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")

    @property
    def log(self) -> Exchange:
        return Exchange(f"{self.prefix}.log", "direct", persistent=True, mandatory=True)

    @property
    def news(self) -> Exchange:
        return Exchange(f"{self.prefix}.news", "fanout", persistent=True, mandatory=True)

    @property
    def accounts(self) -> Exchange:
        return Exchange(f"{self.prefix}.accounts", "topic", persistent=True, mandatory=True)

    @property
    def delivery(self) -> Exchange:
        return Exchange(f"{self.prefix}.delivery", "direct", persistent=False, mandatory=False)

    @property
    def queries(self) -> Exchange:
        return Exchange(f"{self.prefix}.queries", "direct", persistent=False, mandatory=True)

    def work(self, name: str = "work", keys: Sequence[str] = ("k",), exchange: Exchange | None = None) -> Queue:
        """Shared, durable, for competing consumers."""
        return Queue(f"{self.prefix}.{name}", "quorum", tuple((exchange or self.log, key) for key in keys))

    def partition(self, keys: Sequence[str] = ("k",)) -> Queue:
        """Shared, durable, one active consumer."""
        bindings = tuple((self.log, key) for key in keys)
        return Queue(f"{self.prefix}.partition", "quorum", bindings, single_active_consumer=True)


def number(n: int, padding: int = 0) -> Event:
    """An event that carries a number."""
    return Event("contract", Reply(result={"n": n, "padding": "x" * padding}))


def events(deliveries: Sequence[Delivery]) -> list[Received]:
    return [event for delivery in deliveries for event in read_body(delivery.body)]


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [event.data["result"]["n"] for event in events(deliveries)]


async def take(subscription: Subscription, count: int, *, ack: bool = True) -> list[Delivery]:
    """Take deliveries with at least `count` events."""
    taken: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while count > 0:
            batch = await subscription.take()
            taken.extend(batch.deliveries)
            count -= len(events(batch.deliveries))
            if ack:
                await subscription.ack(batch.deliveries)
    return taken


async def nothing_arrives(subscription: Subscription) -> bool:
    """Whether no delivery arrives for a while."""
    try:
        async with asyncio.timeout(ABSENCE):
            await subscription.take()
    except TimeoutError:
        return True
    return False


async def outcomes(published: Sequence[Awaitable[None]]) -> list[Any]:
    """Return None for each stored event, the error for each other one."""
    async with asyncio.timeout(PATIENCE):
        return list(await asyncio.gather(*published, return_exceptions=True))
