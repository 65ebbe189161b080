"""The broker crashes, restarts or freezes: no confirmed event is lost, order holds, every call ends in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.envelope import read_body
from shared.errors import Unavailable
from tests.integration.rabbitmq_bus.conftest import (
    INBOX,
    LOG,
    NEWS,
    QUESTION_QUEUE,
    QUESTIONS,
    Note,
    log_queue,
    note,
    publish_until_confirmed,
)
from tests.support.ports import free_port
from tests.support.servers import RabbitMQ
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

UNKNOWN = 9.0  # seconds: the 5 after which an outcome is unknown, and what a busy machine adds


@pytest.fixture
def frozen(rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    yield rabbitmq
    rabbitmq.resume()


async def test_broker_crash_loses_no_confirmed_event(rabbitmq: RabbitMQ, amqp_url: str, bus: RabbitMQBus) -> None:
    """`kill -9` during 5,000 publications under 4 keys: all confirmed events are stored, in order for each key.

    A sender publishes an event repeatedly until it is confirmed, then the next one, as the services do.
    """
    await bus.declare([LOG], [log_queue(str(key)) for key in range(4)])
    await asyncio.to_thread(rabbitmq.flush_registry)
    confirmed: list[list[int]] = [[] for _ in range(4)]

    async def send(key: int) -> None:
        for number in range(1_250):
            await publish_until_confirmed(bus, LOG, str(key), note(number), within=120)
            confirmed[key].append(number)

    reading = asyncio.create_task(_stored(bus, 0, 1_250))  # one queue is read at the same time
    sending = [asyncio.create_task(send(key)) for key in range(4)]
    await until(lambda: sum(map(len, confirmed)) > 1_500, 30)
    await asyncio.to_thread(rabbitmq.kill)
    at_crash = sum(map(len, confirmed))
    assert at_crash < 5_000
    await asyncio.to_thread(rabbitmq.start)
    await asyncio.gather(*sending)
    assert await reading == confirmed[0] == list(range(1_250))
    for key in range(1, 4):
        assert await _stored(bus, key, 1_250) == confirmed[key] == list(range(1_250))


async def _stored(bus: RabbitMQBus, key: int, count: int) -> list[int]:
    """Return the numbers in a log queue, each at the place of its first copy."""
    subscription = await bus.subscribe(log_queue(str(key)), prefetch=1_000)
    numbers: dict[int, None] = {}
    async with asyncio.timeout(60):
        while len(numbers) < count:
            batch = await subscription.take()
            for delivery in batch.deliveries:
                numbers.update((event.parse(Note).number, None) for event in read_body(delivery.body))
            await subscription.ack(batch.deliveries)
    await subscription.close()
    return list(numbers)


async def test_events_with_unknown_outcome_are_sent_after_a_crash(
    rabbitmq: RabbitMQ, amqp_url: str, bus: RabbitMQBus
) -> None:
    """Events published without a broker are unknown after 5 s, and stored in order after its restart."""
    await bus.declare([LOG], [log_queue()])
    await asyncio.to_thread(rabbitmq.flush_registry)
    await asyncio.to_thread(rabbitmq.kill)
    start = time.monotonic()
    results = [bus.publish(LOG, "0", note(number)) for number in range(10)]
    outcomes = await asyncio.gather(*results, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert 4.9 < time.monotonic() - start < UNKNOWN
    last = bus.publish(LOG, "0", note(10))
    starting = asyncio.create_task(asyncio.to_thread(rabbitmq.start))
    assert await _stored(bus, 0, 11) == list(range(11))
    await starting
    await asyncio.gather(last, return_exceptions=True)


async def test_exclusive_subscription_reports_a_gap_after_reconnecting(
    rabbitmq: RabbitMQ, amqp_url: str, bus: RabbitMQBus
) -> None:
    """After a broker restart an exclusive subscription reports a gap, and its bindings are restored."""
    inbox = await bus.subscribe(INBOX, prefetch=10)
    await inbox.bind(NEWS, "k")
    await bus.publish(NEWS, "k", note(1))
    batch = await inbox.take()
    assert not batch.gap
    assert len(batch.deliveries) == 1
    await asyncio.to_thread(rabbitmq.flush_registry)
    await asyncio.to_thread(rabbitmq.kill)
    await until(lambda: not bus.connected, 30)
    with pytest.raises(Unavailable):
        await inbox.bind(NEWS, "later")
    await asyncio.to_thread(rabbitmq.start)
    batch = await inbox.take()
    assert batch.gap
    assert not batch.deliveries
    await inbox.ack([*batch.deliveries])
    for key, number in (("k", 2), ("later", 3)):  # bound by the time the gap is reported
        await publish_until_confirmed(bus, NEWS, key, note(number))  # once the publishing connection is restored
        batch = await inbox.take()
        assert [event.parse(Note).number for d in batch.deliveries for event in read_body(d.body)] == [number]
        assert not batch.gap
    await until(lambda: bus.connected, 30)


async def test_acks_of_an_earlier_connection_are_ignored(rabbitmq: RabbitMQ, amqp_url: str, bus: RabbitMQBus) -> None:
    """Unacknowledged deliveries are redelivered in place; acknowledging those of the old connection has no effect."""
    subscription = await bus.subscribe(log_queue(), prefetch=10)
    await asyncio.to_thread(rabbitmq.flush_registry)
    for number in range(5):
        await bus.publish(LOG, "0", note(number))
    old = []
    while len(old) < 5:
        old += (await subscription.take()).deliveries
    await asyncio.to_thread(rabbitmq.restart)
    new = []
    async with asyncio.timeout(30):
        while len(new) < 5:
            new += (await subscription.take()).deliveries
    await subscription.ack(old)
    assert [d.body for d in new] == [d.body for d in old]
    await subscription.ack(new[:2])
    await subscription.close()
    assert await _stored(bus, 0, 3) == [2, 3, 4]


async def test_frozen_broker_delays_no_caller_beyond_its_timeout(frozen: RabbitMQ, amqp_url: str) -> None:
    """SIGSTOP: events end as unknown and are stored later, requests fail, leaving the bus takes seconds."""
    async with RabbitMQBus(amqp_url, name="test") as bus:
        await bus.declare([LOG, QUESTIONS], [log_queue(), QUESTION_QUEUE])
        inbox = await bus.subscribe(INBOX, prefetch=10)
        await bus.publish(LOG, "0", note(0))
        frozen.pause()
        unknown = await _unanswered(bus)
        start = time.monotonic()
        with pytest.raises(Unavailable):
            await unknown
        assert time.monotonic() - start < UNKNOWN
        with pytest.raises(Unavailable):
            await bus.request(QUESTIONS, "q", note(2), timeout=1.0)
        with pytest.raises(Unavailable):
            await inbox.bind(NEWS, "k")
        await until(lambda: not bus.connected, 30)
        frozen.resume()
        await until(lambda: bus.connected, 30)
        assert await _stored(bus, 0, 2) == [0, 3]
        await bus.subscribe(log_queue("1"), prefetch=10)
        frozen.pause()
        unknown = await _unanswered(bus)
        start = time.monotonic()
    assert time.monotonic() - start < UNKNOWN
    with pytest.raises(Unavailable, match="closed"):
        await unknown


async def _unanswered(bus: RabbitMQBus) -> asyncio.Future[None]:
    """Return a publication without an outcome: the threads of a frozen broker stop soon, not at once."""

    async def unanswered() -> asyncio.Future[None] | None:
        published = asyncio.ensure_future(bus.publish(LOG, "0", note(3)))
        answered, _ = await asyncio.wait({published}, timeout=0.5)
        return None if answered else published

    published = await until(unanswered)
    assert published is not None
    return published


async def test_addresses_are_tried_in_turn(amqp_url: str) -> None:
    """If the first address does not answer, the second one is used."""
    async with RabbitMQBus(f"amqp://127.0.0.1:{free_port()}/,{amqp_url}", name="test") as bus:
        await until(lambda: bus.connected, 10)
