"""Consuming: acknowledgements, prefetch, failover, gaps, requests."""

from __future__ import annotations

import asyncio

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity

from shared.bus.rabbitmq import RabbitMQBus
from shared.bus.rabbitmq import subscription as consuming
from shared.contracts.envelope import Event, read_body
from shared.contracts.topology import Exchange, Queue
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
    read,
)
from tests.support.servers import RabbitMQ
from tests.support.waiting import until


async def test_unacked_deliveries_are_redelivered_in_place(bus: RabbitMQBus) -> None:
    """Closing a subscription requeues its unacknowledged deliveries in order, with a higher delivery count."""
    first = await bus.subscribe(log_queue(), prefetch=10)
    for number in range(6):
        await bus.publish(LOG, "0", note(number))
    deliveries = []
    while len(deliveries) < 6:
        deliveries += (await first.take()).deliveries
    assert [delivery.delivery_count for delivery in deliveries] == [0] * 6
    await first.ack(deliveries[:3])
    await first.ack(deliveries[:2])  # a second ack has no effect
    await first.close()

    second = await bus.subscribe(log_queue(), prefetch=10)
    await second.ack(deliveries[3:])  # of another subscription: no effect
    again = []
    while len(again) < 3:
        again += (await second.take()).deliveries
    assert [read_body(delivery.body)[0].parse(Note).number for delivery in again] == [3, 4, 5]
    assert [delivery.delivery_count for delivery in again] == [1, 1, 1]
    assert {delivery.key for delivery in again} == {"0"}


async def test_acks_out_of_order_cover_only_their_deliveries(bus: RabbitMQBus) -> None:
    """Acknowledgements with holes cover exactly the given deliveries."""
    queue = Queue("test.work", "quorum", ((LOG, "work"),))
    first = await bus.subscribe(queue, prefetch=10)
    for number in range(6):
        await bus.publish(LOG, "work", note(number))
    deliveries = []
    while len(deliveries) < 6:
        deliveries += (await first.take()).deliveries
    await first.ack([deliveries[1], deliveries[4]])
    await first.ack([deliveries[0], deliveries[2]])  # now 0 to 2 are contiguous
    await first.close()
    second = await bus.subscribe(queue, prefetch=10)
    assert await read(second, 2) == [3, 5]


async def test_prefetch_bounds_unacked_bodies(bus: RabbitMQBus) -> None:
    """With a prefetch of 3 a fourth body is delivered only after an ack."""
    subscription = await bus.subscribe(log_queue(), prefetch=3)
    for number in range(5):
        await bus.publish(LOG, "0", note(number))
    held = []
    while len(held) < 3:
        held += (await subscription.take(most=1)).deliveries
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            held += (await subscription.take()).deliveries
    await subscription.ack(held[:1])
    assert len((await subscription.take()).deliveries) == 1


async def test_single_active_consumer_fails_over_in_order(amqp_url: str, bus: RabbitMQBus) -> None:
    """The standby consumer receives nothing until the active one closes, then all unacknowledged events in order."""
    async with RabbitMQBus(amqp_url, name="other") as other:
        active = await bus.subscribe(log_queue(), prefetch=100)
        for number in range(10):
            await bus.publish(LOG, "0", note(number))
        deliveries = []
        while len(deliveries) < 10:
            deliveries += (await active.take()).deliveries
        standby = await other.subscribe(log_queue(), prefetch=100)
        waiting = asyncio.create_task(read(standby, 6))
        await active.ack(deliveries[:4])
        assert not waiting.done()
        await active.close()
        assert await waiting == [4, 5, 6, 7, 8, 9]


async def test_consumer_cancelled_by_the_broker_is_replaced(amqp_url: str, bus: RabbitMQBus) -> None:
    """A deleted queue is declared and consumed again."""
    subscription = await bus.subscribe(log_queue(), prefetch=10)
    await bus.publish(LOG, "0", note(1))
    assert await read(subscription, 1) == [1]
    await _delete(amqp_url, log_queue().name)
    await publish_until_confirmed(bus, LOG, "0", note(2))  # unroutable until the queue is declared again
    assert await read(subscription, 1) == [2]


async def test_consumer_unknown_to_the_broker_is_replaced(bus: RabbitMQBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that the broker no longer has is replaced at the next check; a healthy one is kept."""
    monkeypatch.setattr(consuming, "WATCH_INTERVAL", 0.2)
    unknown = await bus.subscribe(log_queue(), prefetch=10)
    healthy = await bus.subscribe(INBOX, prefetch=10)
    await healthy.bind(NEWS, "k")
    channel = await unknown._consumer.channel.get_underlay_channel()
    await channel.basic_cancel(next(iter(channel.consumers)))
    await bus.publish(LOG, "0", note(1))
    assert await read(unknown, 1) == [1]
    await bus.publish(NEWS, "k", note(2))
    batch = await healthy.take()
    assert not batch.gap
    assert len(batch.deliveries) == 1


async def test_closed_channel_is_replaced(bus: RabbitMQBus) -> None:
    """A channel of a subscription, or of the responses, that closes without its connection is replaced."""
    subscription = await bus.subscribe(log_queue(), prefetch=10)
    await bus.publish(LOG, "0", note(1))
    held = (await subscription.take()).deliveries
    for channel in (subscription._consumer.channel, bus._responses._channel):
        with pytest.raises(ChannelNotFoundEntity):
            await channel.declare_queue("nowhere", passive=True)
    assert await read(subscription, 1, ack=False) == [1]
    await subscription.ack(held)
    await until(lambda: bus.connected, 30)
    await bus.declare([QUESTIONS], [QUESTION_QUEUE])
    questions = await bus.subscribe(QUESTION_QUEUE, prefetch=10)
    asking = asyncio.create_task(bus.request(QUESTIONS, "q", note(2)))
    [delivery] = (await questions.take()).deliveries
    bus.respond(read_body(delivery.body)[0], note(3))
    assert (await asking).parse(Note).number == 3


async def _delete(amqp_url: str, queue: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(queue)


async def test_exists_is_true_only_for_an_existing_queue(bus: RabbitMQBus) -> None:
    """True for a queue that exists, false for one that does not; later calls work after both."""
    await bus.declare([LOG], [log_queue()])
    assert await bus.exists(log_queue())
    assert not await bus.exists(log_queue("7"))
    assert await bus.exists(log_queue())


async def test_overflow_of_an_exclusive_queue_is_reported_as_a_gap(bus: RabbitMQBus) -> None:
    """A gap is reported when a full exclusive queue drops messages, without a reconnect."""
    inbox = await bus.subscribe(Queue("test.tiny", "exclusive", max_length=5), prefetch=1)
    await inbox.bind(NEWS, "k")
    for number in range(20):
        await bus.publish(NEWS, "k", note(number))
    gap = False
    numbers: list[int] = []
    async with asyncio.timeout(30):
        while not gap or 19 not in numbers:
            batch = await inbox.take()
            gap = gap or batch.gap
            numbers += [event.parse(Note).number for d in batch.deliveries for event in read_body(d.body)]
            await inbox.ack(batch.deliveries)
    assert numbers == sorted(numbers)
    assert len(numbers) < 20


async def test_bindings_take_effect_at_once(bus: RabbitMQBus) -> None:
    """Events of a key arrive once `bind` has returned, and not after `unbind`."""
    inbox = await bus.subscribe(INBOX, prefetch=10)
    await inbox.bind(NEWS, "a")
    await inbox.bind(NEWS, "b")
    await bus.publish(NEWS, "a", note(1))
    await bus.publish(NEWS, "b", note(2))
    assert sorted(await read(inbox, 2)) == [1, 2]
    await inbox.unbind(NEWS, "a")
    await bus.publish(NEWS, "a", note(3))
    await bus.publish(NEWS, "b", note(4))
    assert await read(inbox, 1) == [4]


async def test_exclusive_queue_is_deleted_with_its_consumer(
    rabbitmq: RabbitMQ, amqp_url: str, bus: RabbitMQBus
) -> None:
    """Neither a closed subscription nor one whose channel was lost leaves a queue behind."""
    closed = await bus.subscribe(INBOX, prefetch=10)
    await closed.close()
    lost = await bus.subscribe(INBOX, prefetch=10)
    with pytest.raises(ChannelNotFoundEntity):
        await lost._consumer.channel.declare_queue("nowhere", passive=True)
    assert (await lost.take()).gap
    vhost = amqp_url.rpartition("/")[2]
    listed = await asyncio.to_thread(rabbitmq.ctl, "list_queues", "-p", vhost, "--no-table-headers", "name")
    assert len([name for name in listed.split() if name.startswith(INBOX.name)]) == 2  # one, and its sentinel


async def test_thousand_requests_get_their_own_responses(amqp_url: str, bus: RabbitMQBus) -> None:
    """A thousand concurrent requests, each with a deadline, get their own responses over another connection."""
    async with RabbitMQBus(amqp_url, name="responder") as responder:
        questions = await responder.subscribe(QUESTION_QUEUE, prefetch=100)

        async def answer() -> None:
            while True:
                batch = await questions.take()
                for delivery in batch.deliveries:
                    for question in read_body(delivery.body):
                        assert question.deadline
                        number = question.parse(Note).number
                        responder.respond(question, Event(source="responder", data=Note(number=number * 2)))
                await questions.ack(batch.deliveries)

        answering = asyncio.create_task(answer())
        answers = await asyncio.gather(*(bus.request(QUESTIONS, "q", note(number)) for number in range(1_000)))
        assert [received.parse(Note).number for received in answers] == [number * 2 for number in range(1_000)]
        twice = note(7)
        both = await asyncio.gather(bus.request(QUESTIONS, "q", twice), bus.request(QUESTIONS, "q", twice))
        assert {received.parse(Note).number for received in both} == {14}
        answering.cancel()


async def test_requests_without_response_fail_in_time(bus: RabbitMQBus) -> None:
    """`Unavailable` after the timeout if no response arrives, and at once if no queue takes the request."""
    await bus.declare([QUESTIONS], [QUESTION_QUEUE])
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(Unavailable, match="No answer"):
        await bus.request(QUESTIONS, "q", note(1), timeout=0.5)
    assert 0.4 < loop.time() - start < 2.0
    with pytest.raises(Unavailable, match="No queue"):
        await bus.request(QUESTIONS, "nowhere", note(1), timeout=5.0)
    assert loop.time() - start < 3.0


async def test_conflicting_declaration_is_unavailable(bus: RabbitMQBus) -> None:
    """The broker's refusal of a declaration reaches its caller."""
    await bus.declare([LOG], [log_queue()])
    other = Exchange(LOG.name, "fanout", persistent=True, mandatory=True)
    with pytest.raises(Unavailable, match="topology"):
        await bus.declare([other])
