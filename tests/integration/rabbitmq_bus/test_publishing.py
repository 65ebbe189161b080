"""Publishing: order, group commit, refusals, bounds."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from shared.bus.port import Subscription
from shared.bus.rabbitmq import RabbitMQBus, publisher, publisher_channel, send_buffer
from shared.contracts.envelope import read_body
from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, EVENT_BYTES_MAX, Exchange, Queue
from shared.errors import PayloadTooLarge, Unavailable
from tests.integration.rabbitmq_bus.conftest import INBOX, LOG, NEWS, Note, log_queue, note, read
from tests.support.ports import free_port
from tests.support.waiting import until


async def test_queue_order_is_call_order(bus: RabbitMQBus) -> None:
    """20,000 events of one key, published while others are in flight, arrive once each and in call order."""
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


async def test_bodies_are_written_in_the_order_of_calls_under_all_keys(bus: RabbitMQBus) -> None:
    """One queue with 300 bindings receives bodies in call order, also larger ones than a frame and aiormq's buffer."""
    keys = [f"k{number}" for number in range(300)]
    queue = Queue("test.wire", "quorum", tuple((LOG, key) for key in keys))
    subscription = await bus.subscribe(queue, prefetch=1_000)
    for size in (0, 150_000):  # bytes
        published = [bus.publish(LOG, key, note(number, "x" * size)) for number, key in enumerate(keys)]
        await asyncio.gather(*published)
        assert await read(subscription, len(keys)) == list(range(len(keys)))


async def test_events_published_at_once_share_few_bodies(bus: RabbitMQBus) -> None:
    """1,200 small events are published in three bodies of at most 500; large ones within the limit in bytes."""
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


async def test_unroutable_event_is_unavailable(bus: RabbitMQBus) -> None:
    """An event whose key no queue is bound to is refused at once, and later events are published."""
    await bus.declare([LOG], [log_queue()])
    with pytest.raises(Unavailable, match="No queue"):
        await bus.publish(LOG, "nowhere", note(1))
    await bus.publish(LOG, "0", note(2))
    await bus.declare([NEWS])
    await bus.publish(NEWS, "nobody", note(3))  # not mandatory: no error


async def test_unknown_exchange_fails_only_its_own_events(bus: RabbitMQBus) -> None:
    """A missing exchange closes the channel; its events are refused, all other events are delivered."""
    subscription = await bus.subscribe(log_queue(), prefetch=100)
    missing = Exchange("test.missing", "direct", persistent=True, mandatory=True)
    results = [bus.publish(missing, "a", note(0)), *(bus.publish(LOG, "0", note(number)) for number in range(100))]
    results += [bus.publish(missing, "b", note(0)), bus.publish(missing, "a", note(0))]
    outcomes = await asyncio.gather(*results, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable, *[type(None)] * 100, Unavailable, Unavailable]
    received = await read(subscription, 100)
    assert list(dict.fromkeys(received)) == list(range(100))  # may be redelivered, never out of order
    await bus.publish(LOG, "0", note(100))
    await until(lambda: bus.connected, 30)


async def test_full_queue_refuses_events(bus: RabbitMQBus) -> None:
    """A full queue refuses with `Unavailable`; it holds all that was confirmed."""
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
    await bus.publish(LOG, "small", note(1_000))  # it has room again


async def test_refusing_queue_delays_no_other_queue(bus: RabbitMQBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal renews the channel: all other events are delivered, in order."""
    monkeypatch.setattr(publisher_channel, "RENEWAL_INTERVAL", 0.01)
    full = Queue("test.full", "quorum", ((LOG, "full"),), max_length=1, overflow="reject-publish")
    keys = ["a", "b", "c"]
    await bus.declare([LOG], [full, *map(log_queue, keys)])

    async def send(key: str) -> None:
        for number in range(200):
            await bus.publish(LOG, key, note(number))

    async def publish_to_full_queue() -> None:
        while True:
            with suppress(Unavailable):
                await bus.publish(LOG, "full", note(0))

    channels = set()
    refused = asyncio.create_task(publish_to_full_queue())
    sending = asyncio.gather(*map(send, keys))

    def sent() -> bool:
        channels.add(bus._publisher._channel.generation)
        return sending.done()

    await until(sent, 60)
    await sending
    refused.cancel()
    assert len(channels) > 3, "the channel was not renewed"
    for key in keys:
        subscription = await bus.subscribe(log_queue(key), prefetch=100)
        assert await read(subscription, 200) == list(range(200))


async def test_too_large_event_is_refused_before_publishing(bus: RabbitMQBus) -> None:
    """An event over the limit never reaches the broker."""
    with pytest.raises(PayloadTooLarge):
        await bus.publish(LOG, "0", note(1, "x" * EVENT_BYTES_MAX))


async def test_memory_is_bounded_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker, events fail at once above the bound, and as unknown after the timeout below it."""
    monkeypatch.setattr(send_buffer, "PENDING_EVENTS_MAX", 10)
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


async def test_dropped_result_is_not_reported_by_asyncio(bus: RabbitMQBus, caplog: pytest.LogCaptureFixture) -> None:
    """A dropped result of a failed publication is not reported by asyncio."""
    await bus.declare([LOG])
    bus.publish(LOG, "nowhere", note(1))
    bus.publish_all([(LOG, "nowhere", note(2))])
    with pytest.raises(Unavailable):
        await bus.publish(LOG, "nowhere", note(3))
    assert "never retrieved" not in caplog.text
