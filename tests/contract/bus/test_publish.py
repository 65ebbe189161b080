"""Publishing: a confirmed event is stored, each key keeps its order, and memory is bounded."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.port import Bus
from shared.contracts.topology import EVENT_BYTES_MAX, Queue
from shared.errors import PayloadTooLarge, Unavailable
from tests.contract.bus.brokers import (
    PATIENCE,
    Broker,
    Names,
    events,
    nothing_arrives,
    number,
    numbers,
    outcomes,
    take,
)
from tests.support.waiting import until


async def test_confirmed_event_is_delivered_unchanged(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.work()])
    sent = number(1)
    await bus.publish(names.log, "k", sent)

    [delivery] = await take(await bus.subscribe(names.work(), prefetch=10), 1)

    [received] = events([delivery])
    assert (delivery.key, delivery.delivery_count) == ("k", 0)
    assert (received.id, received.type, received.source) == (sent.id, sent.type, "contract")
    assert received.data["result"]["n"] == 1


async def test_confirmed_events_survive_a_restart_before_any_subscription(broker: Broker, names: Names) -> None:
    async with broker.open() as bus:
        await bus.declare([names.log], [names.work()])
        await asyncio.gather(*(bus.publish(names.log, "k", number(n)) for n in range(50)))

    async with broker.open() as bus:
        await bus.declare()  # connected
        await bus.publish(names.log, "k", number(50))
        taken = await take(await bus.subscribe(names.work(), prefetch=100), 51)

    assert numbers(taken) == list(range(51))


async def test_each_key_keeps_call_order_and_waiting_events_share_a_body(bus: Bus, names: Names) -> None:
    keys = ("a", "b", "c")
    await bus.declare([names.log], [names.work(keys=keys)])
    published = [bus.publish(names.log, key, number(n)) for n in range(400) for key in keys]
    assert await outcomes(published) == [None] * 1200

    taken = await take(await bus.subscribe(names.work(keys=keys), prefetch=1000), 1200)

    for key in keys:
        assert numbers([d for d in taken if d.key == key]) == list(range(400))
    assert len(taken) < 200  # bodies: far fewer than events


async def test_order_holds_while_publishers_and_confirms_interleave(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    counter = iter(range(600))

    async def publisher() -> None:
        for n in counter:
            await bus.publish(names.log, "k", number(n))

    await asyncio.gather(*(publisher() for _ in range(20)))
    taken = await take(await bus.subscribe(names.partition(), prefetch=100), 600)

    assert numbers(taken) == list(range(600))


async def test_publish_all_keeps_order_and_confirms_as_one(bus: Bus, names: Names) -> None:
    keys = ("a", "b")
    await bus.declare([names.log], [names.work(keys=keys)])
    await bus.publish_all([])
    await bus.publish_all([(names.log, key, number(n)) for n in range(20) for key in keys])

    taken = await take(await bus.subscribe(names.work(keys=keys), prefetch=100), 40)

    for key in keys:
        assert numbers([d for d in taken if d.key == key]) == list(range(20))


async def test_unroutable_event_on_a_mandatory_exchange_is_unavailable(bus: Bus, names: Names) -> None:
    await bus.declare([names.log, names.delivery], [names.work()])
    with pytest.raises(Unavailable):
        await bus.publish(names.log, "nowhere", number(1))
    with pytest.raises(Unavailable):
        await bus.publish_all([(names.log, "k", number(2)), (names.log, "nowhere", number(3))])

    await bus.publish(names.delivery, "nowhere", number(4))  # unroutable, which is no error on this exchange
    assert numbers(await take(await bus.subscribe(names.work(), prefetch=10), 1)) == [2]


async def test_publish_raises_only_when_awaited_and_outcomes_may_be_dropped(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.work()])
    bus.publish(names.log, "nowhere", number(1))
    bus.publish(names.log, "k", number(2, EVENT_BYTES_MAX))
    bus.publish(names.log, "k", number(3))
    await bus.publish(names.log, "k", number(4))

    assert numbers(await take(await bus.subscribe(names.work(), prefetch=10), 2)) == [3, 4]


async def test_event_over_the_limit_is_refused_without_effect_on_others(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.work()])
    published = [
        bus.publish(names.log, "k", number(1)),
        bus.publish(names.log, "k", number(2, EVENT_BYTES_MAX)),
        bus.publish(names.log, "k", number(3, EVENT_BYTES_MAX // 2)),
    ]

    first, second, third = await outcomes(published)

    assert first is None
    assert isinstance(second, PayloadTooLarge)
    assert third is None
    assert numbers(await take(await bus.subscribe(names.work(), prefetch=10), 2)) == [1, 3]


async def test_full_queue_refuses_until_it_has_room(bus: Bus, names: Names) -> None:
    queue = Queue(f"{names.prefix}.small", "quorum", ((names.log, "k"),), max_bytes=50_000, overflow="reject-publish")
    await bus.declare([names.log], [queue])
    held: list[int] = []
    with pytest.raises(Unavailable):
        for n in range(200):
            await bus.publish(names.log, "k", number(n, 2_000))
            held.append(n)

    assert 10 < len(held) < 100
    subscription = await bus.subscribe(queue, prefetch=100)
    assert numbers(await take(subscription, len(held))) == held
    await _until_held(bus, names)
    assert numbers(await take(subscription, 1)) == [1_000]


async def _until_held(bus: Bus, names: Names) -> None:
    async def held() -> bool:
        try:
            await bus.publish(names.log, "k", number(1_000))
        except Unavailable:
            return False
        return True

    await until(held, PATIENCE, every=0.05)


async def test_publishing_above_the_bound_is_refused_at_once(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.work()])
    published = []
    for n in range(5_000):  # 500 MB, and the loop never runs
        published.append(asyncio.ensure_future(bus.publish(names.log, "k", number(n, 100_000))))
        if published[-1].done():
            break
    refused = published[-1]
    assert refused.done()
    assert isinstance(refused.exception(), Unavailable)

    result = await outcomes(published)
    held = [n for n, error in enumerate(result) if error is None]

    assert held == list(range(len(published) - 1))
    assert numbers(await take(await bus.subscribe(names.work(), prefetch=10), len(held))) == held
    await bus.publish(names.log, "k", number(0))


async def test_streamed_and_published_events_keep_one_order(bus: Bus, names: Names) -> None:
    await bus.declare([names.delivery])
    subscription = await bus.subscribe(Queue(f"{names.prefix}.gateway", "exclusive"), prefetch=1000)
    await subscription.bind(names.delivery, "s.1")
    for n in range(300):
        bus.stream(names.delivery, "s.1", number(n))
        if n % 7 == 0:
            await asyncio.sleep(0)
    await bus.publish(names.delivery, "s.1", number(300))
    bus.stream(names.delivery, "elsewhere", number(-1))

    assert numbers(await take(subscription, 301)) == list(range(301))
    assert await nothing_arrives(subscription)


async def test_closed_bus_refuses_events(broker: Broker, names: Names) -> None:
    async with broker.open() as bus:
        await bus.declare([names.log], [names.work()])
        assert bus.connected
    assert not bus.connected
    with pytest.raises(Unavailable):
        await bus.publish(names.log, "k", number(1))


async def test_leaving_the_bus_flushes_pending_events(broker: Broker, names: Names) -> None:
    async with broker.open() as bus:
        await bus.declare([names.log], [names.work()])
        for n in range(100):
            bus.publish(names.log, "k", number(n))
    async with broker.open() as bus:
        assert numbers(await take(await bus.subscribe(names.work(), prefetch=10), 100)) == list(range(100))
