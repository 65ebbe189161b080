"""A topology of its own for the tests, and small readers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

import pytest

from shared.bus.port import Subscription
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.envelope import Event, read_body
from shared.contracts.payload import Payload
from shared.contracts.topology import MIB, Exchange, Queue

LOG = Exchange("test.log", "direct", persistent=True, mandatory=True)
NEWS = Exchange("test.news", "direct", persistent=False, mandatory=False)
QUESTIONS = Exchange("test.questions", "direct", persistent=False, mandatory=True)


class Note(Payload):
    """A number and some text to make it heavy."""

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


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition that nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.01)


async def read(subscription: Subscription, count: int, *, ack: bool = True, seconds: float = 30.0) -> list[int]:
    """The numbers of the next `count` notes at least, in the order of arrival."""
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
