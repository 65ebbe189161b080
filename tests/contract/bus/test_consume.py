"""Consuming: in order, redelivery after a loss, none after an ack, one active consumer where a queue wants it."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.port import Bus
from shared.contracts.topology import Queue
from shared.errors import Unavailable
from tests.contract.bus.brokers import PATIENCE, Broker, Names, nothing_arrives, number, numbers, take


async def _fill(bus: Bus, names: Names, count: int, key: str = "k") -> None:
    """Publish `count` bodies of one event each."""
    for n in range(count):
        await bus.publish(names.log, key, number(n))


async def test_unacked_deliveries_are_redelivered_in_place_after_close(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    await _fill(bus, names, 10)
    first = await bus.subscribe(names.partition(), prefetch=5)
    taken = await take(first, 5, ack=False)
    await first.ack(taken[:2])
    await first.close()

    again = await take(await bus.subscribe(names.partition(), prefetch=100), 8)

    assert numbers(taken) == [0, 1, 2, 3, 4]
    assert numbers(again) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [d.delivery_count >= 1 for d in again[:3]] == [True] * 3


async def test_each_redelivery_increments_the_delivery_count(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    await _fill(bus, names, 1)
    counts = []
    for _ in range(4):
        subscription = await bus.subscribe(names.partition(), prefetch=1)
        [delivery] = await take(subscription, 1, ack=False)
        counts.append(delivery.delivery_count)
        await subscription.close()

    assert counts == [0, 1, 2, 3]


async def test_unacked_deliveries_are_redelivered_after_a_restart(broker: Broker, names: Names) -> None:
    async with broker.open() as bus:
        await bus.declare([names.log], [names.partition()])
        await _fill(bus, names, 6)
        subscription = await bus.subscribe(names.partition(), prefetch=4)
        taken = await take(subscription, 4, ack=False)
        await subscription.ack(taken[:1])

    async with broker.open() as bus:
        again = await take(await bus.subscribe(names.partition(), prefetch=10), 5)

    assert numbers(again) == [1, 2, 3, 4, 5]
    assert [d.delivery_count >= 1 for d in again[:3]] == [True] * 3
    assert again[-1].delivery_count == 0


async def test_acked_deliveries_are_never_redelivered(broker: Broker, names: Names) -> None:
    async with broker.open() as bus:
        await bus.declare([names.log], [names.partition()])
        await _fill(bus, names, 20)
        await take(await bus.subscribe(names.partition(), prefetch=7), 20)

    async with broker.open() as bus:
        assert await nothing_arrives(await bus.subscribe(names.partition(), prefetch=7))


async def test_ack_for_an_earlier_subscription_is_ignored(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    await _fill(bus, names, 3)
    earlier = await bus.subscribe(names.partition(), prefetch=10)
    stale = await take(earlier, 3, ack=False)
    await earlier.close()
    await earlier.ack(stale)

    subscription = await bus.subscribe(names.partition(), prefetch=10)
    assert numbers(await take(subscription, 3, ack=False)) == [0, 1, 2]
    await subscription.ack(stale)
    await subscription.close()

    assert numbers(await take(await bus.subscribe(names.partition(), prefetch=10), 3)) == [0, 1, 2]


async def test_second_ack_has_no_effect(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    await _fill(bus, names, 3)
    subscription = await bus.subscribe(names.partition(), prefetch=2)
    taken = await take(subscription, 2, ack=False)
    await subscription.ack(taken)
    await subscription.ack(taken)
    await subscription.ack([])

    assert numbers(await take(subscription, 1)) == [2]


async def test_prefetch_bounds_unacked_deliveries(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    await _fill(bus, names, 5)
    subscription = await bus.subscribe(names.partition(), prefetch=2)
    taken = await take(subscription, 2, ack=False)
    assert await nothing_arrives(subscription)

    await subscription.ack(taken)

    assert numbers(await take(subscription, 3)) == [2, 3, 4]


async def test_take_returns_at_most_the_requested_number(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    await _fill(bus, names, 5)
    subscription = await bus.subscribe(names.partition(), prefetch=10)
    sizes, got = [], []
    async with asyncio.timeout(PATIENCE):
        while len(got) < 5:
            batch = await subscription.take(2)
            sizes.append(len(batch.deliveries))
            got += numbers(batch.deliveries)

    assert max(sizes) <= 2
    assert got == [0, 1, 2, 3, 4]


async def test_waiting_take_wakes_for_a_new_event(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    subscription = await bus.subscribe(names.partition(), prefetch=10)
    waiting = asyncio.create_task(take(subscription, 1))
    await asyncio.sleep(0)
    await bus.publish(names.log, "k", number(1))

    assert numbers(await waiting) == [1]


async def test_cancelled_take_loses_no_delivery(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    subscription = await bus.subscribe(names.partition(), prefetch=10)
    assert await nothing_arrives(subscription)
    await bus.publish(names.log, "k", number(1))

    assert numbers(await take(subscription, 1)) == [1]


async def test_take_on_a_closed_subscription_is_unavailable(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    subscription = await bus.subscribe(names.partition(), prefetch=10)
    waiting = asyncio.create_task(subscription.take())
    await asyncio.sleep(0)
    await subscription.close()
    await subscription.close()

    with pytest.raises(Unavailable):
        async with asyncio.timeout(PATIENCE):
            await waiting
    with pytest.raises(Unavailable):
        async with asyncio.timeout(PATIENCE):
            await subscription.take()


async def test_fanout_reaches_every_queue(bus: Bus, names: Names) -> None:
    queues = [names.work(name, [""], names.news) for name in ("one", "two")]
    await bus.declare([names.news], queues)
    own = await bus.subscribe(Queue(f"{names.prefix}.own", "exclusive", ((names.news, ""),)), prefetch=10)
    for n in range(3):
        await bus.publish(names.news, "", number(n))

    for queue in queues:
        assert numbers(await take(await bus.subscribe(queue, prefetch=10), 3)) == [0, 1, 2]
    assert numbers(await take(own, 3)) == [0, 1, 2]


async def test_topic_patterns_select_queues(bus: Bus, names: Names) -> None:
    patterns = {"exact": ["user.deleted"], "star": ["user.*"], "hash": ["user.#"], "both": ["user.*", "#"]}
    queues = {name: names.work(name, keys, names.accounts) for name, keys in patterns.items()}
    await bus.declare([names.accounts], list(queues.values()))
    for n, key in enumerate(["user.deleted", "user.renamed", "user.a.b", "user", "other"]):
        await bus.publish(names.accounts, key, number(n))

    expected = {"exact": [0], "star": [0, 1], "hash": [0, 1, 2, 3], "both": [0, 1, 2, 3, 4]}
    for name, wanted in expected.items():
        taken = await take(await bus.subscribe(queues[name], prefetch=10), len(wanted))
        assert sorted(numbers(taken)) == wanted, name


async def test_competing_consumers_receive_each_event_once(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.work()])
    consumers = [await bus.subscribe(names.work(), prefetch=2) for _ in range(3)]
    got: list[list[int]] = [[], [], []]
    done = asyncio.Event()

    async def consume(index: int) -> None:
        while True:
            batch = await consumers[index].take()
            await consumers[index].ack(batch.deliveries)
            got[index] += numbers(batch.deliveries)
            if sum(map(len, got)) >= 60:
                done.set()

    tasks = [asyncio.create_task(consume(index)) for index in range(3)]
    await _fill(bus, names, 60)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert sorted(n for some in got for n in some) == list(range(60))
    assert all(got), "each consumer got some"


async def test_deliveries_of_a_closed_consumer_go_to_a_competing_one(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.work()])
    await _fill(bus, names, 4)
    one = await bus.subscribe(names.work(), prefetch=2)
    held = await take(one, 2, ack=False)
    other = await bus.subscribe(names.work(), prefetch=10)
    rest = await take(other, 2, ack=False)
    await one.close()

    again = await take(other, 2)

    assert numbers(held) == [0, 1]
    assert numbers(rest) == [2, 3]
    assert numbers(again) == [0, 1]
    assert [d.delivery_count for d in again] == [1, 1]


async def test_next_consumer_becomes_active_when_the_active_one_closes(bus: Bus, names: Names) -> None:
    await bus.declare([names.log], [names.partition()])
    active = await bus.subscribe(names.partition(), prefetch=3)
    standby = await bus.subscribe(names.partition(), prefetch=3)
    await _fill(bus, names, 5)
    held = await take(active, 3, ack=False)
    assert await nothing_arrives(standby)
    await active.ack(held[:1])

    await active.close()

    assert numbers(held) == [0, 1, 2]
    assert numbers(await take(standby, 4)) == [1, 2, 3, 4]


async def test_standby_consumer_receives_nothing_while_the_active_one_is_at_its_prefetch(
    bus: Bus, names: Names
) -> None:
    await bus.declare([names.log], [names.partition()])
    active = await bus.subscribe(names.partition(), prefetch=1)
    standby = await bus.subscribe(names.partition(), prefetch=10)
    await _fill(bus, names, 2)
    await take(active, 1, ack=False)

    assert await nothing_arrives(standby)
