"""Kinds of queues: exclusive, bounded and expiring ones; requests; dead letters."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.bus.port import Bus, Subscription
from shared.contracts import topology
from shared.contracts.envelope import read_body
from shared.contracts.payload import utc_now
from shared.contracts.queries import Reply
from shared.contracts.topology import Queue
from shared.errors import Unavailable
from tests.contract.bus.brokers import PATIENCE, Broker, Names, events, nothing_arrives, number, numbers, take
from tests.support.waiting import until


async def test_exclusive_queue_receives_only_its_current_bindings(bus: Bus, names: Names) -> None:
    await bus.declare([names.delivery])
    subscription = await bus.subscribe(Queue(f"{names.prefix}.gateway", "exclusive"), prefetch=100)
    await bus.publish(names.delivery, "s.1", number(1))
    await subscription.bind(names.delivery, "s.1")
    await subscription.bind(names.delivery, "s.1")
    await subscription.bind(names.delivery, "u.7")
    await bus.publish(names.delivery, "s.1", number(2))
    await bus.publish(names.delivery, "s.2", number(3))
    await bus.publish(names.delivery, "u.7", number(4))
    assert numbers(await take(subscription, 2)) == [2, 4]

    await subscription.unbind(names.delivery, "s.1")
    await subscription.unbind(names.delivery, "never")
    await bus.publish(names.delivery, "s.1", number(5))
    await bus.publish(names.delivery, "u.7", number(6))
    assert numbers(await take(subscription, 1)) == [6]


async def test_two_exclusive_queues_of_one_name_are_separate(bus: Bus, names: Names) -> None:
    await bus.declare([names.delivery])
    gateway = Queue(f"{names.prefix}.gateway", "exclusive", ((names.delivery, "s.1"),))
    one, other = [await bus.subscribe(gateway, prefetch=10) for _ in range(2)]
    await bus.publish(names.delivery, "s.1", number(1))

    assert numbers(await take(one, 1)) == numbers(await take(other, 1)) == [1]
    await one.close()
    await bus.publish(names.delivery, "s.1", number(2))
    assert numbers(await take(other, 1)) == [2]


async def test_overflowing_exclusive_queue_drops_the_oldest_and_reports_a_gap(bus: Bus, names: Names) -> None:
    await bus.declare([names.delivery])
    gateway = Queue(f"{names.prefix}.gateway", "exclusive", ((names.delivery, "s.1"),), max_length=10)
    subscription = await bus.subscribe(gateway, prefetch=1)
    for n in range(100):
        await bus.publish(names.delivery, "s.1", number(n))

    got: list[int] = []
    gap = False
    async with asyncio.timeout(PATIENCE):
        while not gap or 99 not in got:
            batch = await subscription.take()
            gap = gap or batch.gap
            got += numbers(batch.deliveries)
            await subscription.ack(batch.deliveries)

    assert got == sorted(set(got))
    assert got[-10:] == list(range(90, 100))
    assert len(got) < 30


async def test_no_gap_without_overflow(bus: Bus, names: Names) -> None:
    await bus.declare([names.delivery])
    gateway = Queue(f"{names.prefix}.gateway", "exclusive", ((names.delivery, "s.1"),), max_length=10)
    subscription = await bus.subscribe(gateway, prefetch=100)
    await bus.publish(names.delivery, "s.1", number(1))
    async with asyncio.timeout(PATIENCE):
        batch = await subscription.take()

    assert numbers(batch.deliveries) == [1]
    assert not batch.gap


async def test_expired_message_is_not_delivered(bus: Bus, names: Names) -> None:
    queue = Queue(f"{names.prefix}.queries", "transient", ((names.queries, "q"),), message_ttl=0.2)
    await bus.declare([names.queries], [queue])
    await bus.publish(names.queries, "q", number(1))
    expired = asyncio.get_running_loop().time() + 0.4
    await until(lambda: asyncio.get_running_loop().time() >= expired)  # the passing of time is the subject
    await bus.publish(names.queries, "q", number(2))

    assert numbers(await take(await bus.subscribe(queue, prefetch=10), 1)) == [2]


async def test_each_request_gets_its_response(bus: Bus, names: Names) -> None:
    queue = Queue(f"{names.prefix}.queries", "transient", ((names.queries, "q"),), message_ttl=5.0)
    subscription = await _subscribed(bus, names, queue)

    async def answer() -> None:
        while True:
            batch = await subscription.take()
            for request in reversed(events(batch.deliveries)):
                assert not request.is_late(utc_now())
                bus.respond(request, number(request.data["result"]["n"] * 10))
            await subscription.ack(batch.deliveries)

    responder = asyncio.create_task(answer())
    answers = await asyncio.gather(*(bus.request(names.queries, "q", number(n)) for n in range(20)))
    responder.cancel()

    assert [answer.data["result"]["n"] for answer in answers] == [n * 10 for n in range(20)]
    assert {answer.type for answer in answers} == {Reply.TYPE}


async def _subscribed(bus: Bus, names: Names, queue: Queue) -> Subscription:
    await bus.declare([names.queries], [queue])
    return await bus.subscribe(queue, prefetch=100)


async def test_response_carries_the_id_of_its_request(bus: Bus, names: Names) -> None:
    queue = Queue(f"{names.prefix}.queries", "transient", ((names.queries, "q"),))
    subscription = await _subscribed(bus, names, queue)
    question = number(1)
    asking = asyncio.ensure_future(bus.request(names.queries, "q", question))
    [delivery] = await take(subscription, 1)
    [request] = read_body(delivery.body)
    bus.respond(request, number(2))

    answer = await asking

    assert request.id == question.id
    assert request.replyto is not None
    assert request.deadline is not None
    assert answer.correlationid == question.id


async def test_request_without_response_is_unavailable_after_its_timeout(bus: Bus, names: Names) -> None:
    queue = Queue(f"{names.prefix}.queries", "transient", ((names.queries, "q"),))
    subscription = await _subscribed(bus, names, queue)
    started = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await bus.request(names.queries, "q", number(1), timeout=0.3)
    assert 0.25 < asyncio.get_running_loop().time() - started < 2

    [late] = events(await take(subscription, 1))
    assert late.is_late(utc_now() + timedelta(milliseconds=1))
    bus.respond(late, number(2))  # after the deadline: ignored
    bus.respond(late.replace(replyto=f"{names.prefix}.gone"), number(3))
    bus.respond(late.replace(replyto=None), number(4))


async def test_unroutable_request_is_unavailable_at_once(bus: Bus, names: Names) -> None:
    await bus.declare([names.queries])
    started = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await bus.request(names.queries, "nowhere", number(1), timeout=10)
    assert asyncio.get_running_loop().time() - started < 3


async def test_exists_knows_shared_queues_after_a_restart(broker: Broker, names: Names) -> None:
    async with broker.open() as bus:
        await bus.declare([names.log], [names.work()])
        assert await bus.exists(names.work())
        assert not await bus.exists(names.work("other"))
        await bus.publish(names.log, "k", number(1))  # the check of a missing queue closed nothing

    async with broker.open() as bus:
        await bus.declare()  # connected
        assert await bus.exists(names.work())
        assert not await bus.exists(names.work("other"))


async def test_declaring_twice_changes_nothing(bus: Bus, names: Names) -> None:
    for _ in range(3):
        await bus.declare([names.log, names.log], [names.work(), names.work()])
    await bus.publish(names.log, "k", number(1))
    await bus.declare([names.log], [names.work()])

    subscription = await bus.subscribe(names.work(), prefetch=10)
    assert numbers(await take(subscription, 1)) == [1]
    assert await nothing_arrives(subscription)


async def test_dead_letters_are_kept(broker: Broker, names: Names) -> None:
    queue = names.partition()
    dead = topology.dead_queue(queue)
    async with broker.open() as bus:
        await bus.declare([names.log, topology.DEAD], [queue, dead])
        await bus.publish(names.log, "k", number(13))
        subscription = await bus.subscribe(queue, prefetch=10)
        [poison] = await take(subscription, 1, ack=False)
        await bus.publish(topology.DEAD, queue.name, number(13))
        await subscription.ack([poison])

    async with broker.open() as bus:
        assert await nothing_arrives(await bus.subscribe(queue, prefetch=10))
        assert numbers(await take(await bus.subscribe(dead, prefetch=10), 1)) == [13]


async def test_whole_topology_can_be_declared(bus: Bus) -> None:
    queues = [
        *(topology.log_queue(n, 2) for n in range(2)),
        topology.turn_queue("echo"),
        topology.query_queue(),
        topology.catalogue_queue(),
    ]
    queues += [topology.dead_queue(queue) for queue in queues[:2]]
    exchanges = [
        topology.log(2),
        topology.TURNS,
        topology.DELIVERY,
        topology.QUERIES,
        topology.CATALOGUE,
        topology.DEAD,
    ]
    await bus.declare(exchanges, queues)
    await bus.subscribe(topology.delivery_queue("gateway"), prefetch=500)

    for queue in queues:
        assert await bus.exists(queue)
