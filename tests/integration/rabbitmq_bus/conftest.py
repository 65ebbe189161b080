"""The topology of these tests, and helpers that publish and read numbered events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from shared.bus.port import Subscription
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.envelope import Event, read_body
from shared.contracts.payload import Payload
from shared.contracts.topology import MIB, Exchange, Queue
from shared.errors import Unavailable
from tests.support.waiting import until

LOG = Exchange("test.log", "direct", persistent=True, mandatory=True)
NEWS = Exchange("test.news", "direct", persistent=False, mandatory=False)
QUESTIONS = Exchange("test.questions", "direct", persistent=False, mandatory=True)


class Note(Payload):
    """A number, and some text that makes the event larger."""

    TYPE: ClassVar[str] = "backchat.test.note.v1"

    number: int
    text: str = ""


def log_queue(key: str = "0") -> Queue:
    return Queue(
        f"test.log.{key}",
        "quorum",
        ((LOG, key),),
        single_active_consumer=True,
        max_bytes=64 * MIB,
        overflow="reject-publish",
    )


QUESTION_QUEUE = Queue("test.questions", "transient", ((QUESTIONS, "q"),), message_ttl=5.0)
INBOX = Queue("test.inbox", "exclusive", max_length=1_000, max_bytes=4 * MIB)


def note(number: int, text: str = "") -> Event:
    return Event(source="test", data=Note(number=number, text=text))


async def publish_until_confirmed(
    bus: RabbitMQBus, exchange: Exchange, key: str, event: Event, within: float = 60.0
) -> None:
    """Publish an event repeatedly until the broker confirms it."""

    async def confirmed() -> bool:
        try:
            await bus.publish(exchange, key, event)
        except Unavailable:
            return False
        return True

    await until(confirmed, within, every=0.05)


async def read(subscription: Subscription, count: int, *, ack: bool = True, seconds: float = 30.0) -> list[int]:
    """Return the numbers of at least the next `count` notes, in the order of arrival."""
    numbers: list[int] = []
    async with asyncio.timeout(seconds):
        while len(numbers) < count:
            batch = await subscription.take()
            for delivery in batch.deliveries:
                numbers += [event.parse(Note).number for event in read_body(delivery.body)]
            if ack:
                await subscription.ack(batch.deliveries)
    return numbers


@pytest.fixture
async def bus(amqp_url: str) -> AsyncIterator[RabbitMQBus]:
    async with RabbitMQBus(amqp_url, name="test") as bus:
        yield bus
