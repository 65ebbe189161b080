"""Publishing: order, group commit, refusals, bounds."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from shared.bus.port import Subscription
from shared.bus.rabbitmq import RabbitMQBus, lanes, publisher
from shared.contracts.envelope import read_body
from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, EVENT_BYTES_MAX, Exchange, Queue
from shared.errors import PayloadTooLarge, Unavailable
from tests.integration.rabbitmq_bus.conftest import INBOX, LOG, NEWS, Note, log_queue, note, read, until
from tests.support.ports import free_port


async def test_order_of_calls_is_order_in_the_queue(bus: RabbitMQBus) -> None:
    """20,000 events under one key, called while others are under way, arrive complete, once and in call order."""
    subscription = await bus.subscribe(log_queue(), prefetch=100)
    called: list[int] = []

    async def client(first: int) -> None:
        chance = random.Random(first)
        for number in range(first, first + 1_000):
            called.append(number)
            published = bus.publish(LOG, "0", note(number))
            if chance.random() < 0.5:
                await published
            else:
                await asyncio.sleep(0)

    reading = asyncio.create_task(read(subscription, 20_000))
    await asyncio.gather(*(client(first * 1_000) for first in range(20)))
    assert await reading == called


async def test_what_is_published_at_once_leaves_as_few_bodies(bus: RabbitMQBus) -> None:
    """1,200 small events make three bodies of at most 500; large ones stay within the bound of bytes."""
    subscription = await bus.subscribe(log_queue(), prefetch=100)
    await bus.publish_all([(LOG, "0", note(number)) for number in range(1_200)])
    deliveries = (await _bodies(subscription, 3))[:3]
    assert [len(read_body(body)) for body in deliveries] == [BATCH_EVENTS, BATCH_EVENTS, 200]

    await bus.publish_all([(LOG, "0", note(number, "x" * 100_000)) for number in range(6)])
    large = await _bodies(subscription, 3)
    assert [len(read_body(body)) for body in large] == [2, 2, 2]
    assert max(map(len, large)) <= BATCH_BYTES

    await bus.publish(LOG, "0", note(1, "x" * BATCH_BYTES))
    assert len((await _bodies(subscription, 1))[0]) > BATCH_BYTES


async def _bodies(subscription: Subscription, count: int) -> list[bytes]:
    bodies: list[bytes] = []
    while len(bodies) < count:
        batch = await subscription.take()
        bodies += [delivery.body for delivery in batch.deliveries]
        await subscription.ack(batch.deliveries)
    return bodies


async def test_unroutable_is_unavailable(bus: RabbitMQBus) -> None:
    """No queue under this key: refused at once, and the bus goes on."""
    await bus.declare([LOG], [log_queue()])
    with pytest.raises(Unavailable, match="No queue"):
        await bus.publish(LOG, "nowhere", note(1))
    await bus.publish(LOG, "0", note(2))
    await bus.declare([NEWS])
    await bus.publish(NEWS, "nobody", note(3))  # not mandatory: no error


async def test_unknown_exchange_harms_nobody_else(bus: RabbitMQBus) -> None:
    """An exchange that is not there closes the channel; its event is refused, all others get through."""
    subscription = await bus.subscribe(log_queue(), prefetch=100)
    missing = Exchange("test.missing", "direct", persistent=True, mandatory=True)
    results = [bus.publish(missing, "a", note(0)), *(bus.publish(LOG, "0", note(number)) for number in range(100))]
    results += [bus.publish(missing, "b", note(0)), bus.publish(missing, "a", note(0))]
    outcomes = await asyncio.gather(*results, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable, *[type(None)] * 100, Unavailable, Unavailable]
    received = await read(subscription, 100)
    assert list(dict.fromkeys(received)) == list(range(100))  # it may come twice, never out of place
    await bus.publish(LOG, "0", note(100))
    await until(lambda: bus.connected)


async def test_full_queue_refuses(bus: RabbitMQBus) -> None:
    """A full queue that rejects is `Unavailable` for the sender, and what was confirmed is there."""
    queue = Queue("test.small", "quorum", ((LOG, "small"),), max_length=5, overflow="reject-publish")
    await bus.declare([LOG], [queue])
    confirmed = []
    with pytest.raises(Unavailable, match="full"):
        for number in range(1_000):
            await bus.publish(LOG, "small", note(number))
            confirmed.append(number)
    assert 5 <= len(confirmed) < 100
    subscription = await bus.subscribe(queue, prefetch=100)
    assert await read(subscription, len(confirmed)) == confirmed
    await bus.publish(LOG, "small", note(1_000))  # and it takes again


async def test_a_queue_that_refuses_harms_no_other(bus: RabbitMQBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal has the channel changed: everything else gets through, in order, while that goes on."""
    monkeypatch.setattr(publisher, "RENEWAL_INTERVAL", 0.01)
    full = Queue("test.full", "quorum", ((LOG, "full"),), max_length=1, overflow="reject-publish")
    keys = ["a", "b", "c"]
    await bus.declare([LOG], [full, *map(log_queue, keys)])

    async def send(key: str) -> None:
        for number in range(200):
            await bus.publish(LOG, key, note(number))

    async def knock() -> None:
        while True:
            with suppress(Unavailable):
                await bus.publish(LOG, "full", note(0))

    channels = set()
    knocking = asyncio.create_task(knock())
    sending = asyncio.gather(*map(send, keys))
    while not sending.done():
        channels.add(bus._publisher._channel)
        await asyncio.sleep(0.01)
    await sending
    knocking.cancel()
    assert len(channels) > 3, "the channel was not changed"
    for key in keys:
        subscription = await bus.subscribe(log_queue(key), prefetch=100)
        assert await read(subscription, 200) == list(range(200))


async def test_too_large_is_refused_here(bus: RabbitMQBus) -> None:
    """An event over the bound never reaches the broker."""
    with pytest.raises(PayloadTooLarge):
        await bus.publish(LOG, "0", note(1, "x" * EVENT_BYTES_MAX))


async def test_memory_is_bounded_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker, publishing fails at once over the bound and as unknown after the timeout."""
    monkeypatch.setattr(lanes, "WAITING_EVENTS_MAX", 10)
    monkeypatch.setattr(publisher, "PUBLISH_TIMEOUT", 0.3)
    registry = CollectorRegistry()
    async with RabbitMQBus(f"amqp://127.0.0.1:{free_port()}/", name="test", registry=registry) as bus:
        assert not bus.connected
        kept = [bus.publish(LOG, "0", note(number)) for number in range(10)]
        with pytest.raises(Unavailable, match="Too much"):
            await bus.publish(LOG, "0", note(10))
        bus.stream(NEWS, "0", note(11))
        with pytest.raises(Unavailable, match="connection"):
            await bus.request(LOG, "0", note(12))
        outcomes = await asyncio.gather(*kept, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert registry.get_sample_value("backchat_bus_unknown_total") == 10
    assert registry.get_sample_value("backchat_bus_dropped_total") == 1
    with pytest.raises(Unavailable, match="closed"):
        await bus.publish(LOG, "0", note(13))


async def test_stream_keeps_the_order_of_its_key(bus: RabbitMQBus) -> None:
    """Streamed and published events of one key arrive in the order of the calls, many to a body."""
    inbox = await bus.subscribe(INBOX, prefetch=100)
    await inbox.bind(NEWS, "k")
    for number in range(1_000):
        if number % 100 == 99:
            await bus.publish(NEWS, "k", note(number))
        else:
            bus.stream(NEWS, "k", note(number))
    bodies = await _bodies(inbox, 10)
    numbers = [event.parse(Note).number for body in bodies for event in read_body(body)]
    assert numbers == list(range(1_000))


async def test_a_result_nobody_reads_is_silent(bus: RabbitMQBus, caplog: pytest.LogCaptureFixture) -> None:
    """A dropped result of a failed publication is not reported by asyncio."""
    await bus.declare([LOG])
    bus.publish(LOG, "nowhere", note(1))
    bus.publish_all([(LOG, "nowhere", note(2))])
    with pytest.raises(Unavailable):
        await bus.publish(LOG, "nowhere", note(3))
    assert "never retrieved" not in caplog.text
