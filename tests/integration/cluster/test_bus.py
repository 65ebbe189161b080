"""A node dies under the bus: nothing confirmed is lost, order holds for each key, and publishing goes on."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.envelope import read_body
from shared.errors import Unavailable
from tests.integration.rabbitmq_bus.conftest import LOG, Note, log_queue, note, until
from tests.support.cluster import RabbitMQCluster

pytestmark = pytest.mark.timeout(180)

KEYS = 10
EACH = 500  # 5,000 in all
GAP = 5.0  # seconds without any confirm, at most


class Sender:
    """Publishes numbered notes, those of a key one after another, each again until it is confirmed."""

    def __init__(self, bus: RabbitMQBus, keys: list[str]) -> None:
        self._bus = bus
        self.confirmed: dict[str, list[int]] = {key: [] for key in keys}
        self.times: list[float] = []

    async def run(self) -> None:
        await asyncio.gather(*map(self._send, self.confirmed))

    async def _send(self, key: str) -> None:
        for number in range(EACH):
            while True:
                try:
                    await self._bus.publish(LOG, key, note(number))
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
            self.confirmed[key].append(number)
            self.times.append(time.monotonic())

    @property
    def longest_gap(self) -> float:
        return max(later - earlier for earlier, later in pairwise(self.times))


@pytest.mark.parametrize("through", ["the leader", "another node"])
async def test_nothing_confirmed_is_lost_when_a_leader_dies(cluster: RabbitMQCluster, through: str) -> None:
    keys = [f"{through} {n}" for n in range(KEYS)]
    first = cluster.nodes[0]
    async with RabbitMQBus(first.url, name="declare") as bus:
        await bus.declare([LOG], [log_queue(key) for key in keys])
    leader = await asyncio.to_thread(cluster.leader_of, log_queue(keys[0]).name)
    addresses = [node.url for node in cluster.nodes if node is not cluster.nodes[leader]]
    addresses.insert(0 if through == "the leader" else 2, cluster.nodes[leader].url)
    async with RabbitMQBus(",".join(addresses), name="test") as bus:
        sender = Sender(bus, keys)
        reading = [asyncio.create_task(_stored(bus, key)) for key in keys]
        sending = asyncio.create_task(sender.run())
        await until(lambda: len(sender.times) > 1_500)
        await asyncio.to_thread(cluster.kill_node, leader)
        assert len(sender.times) < KEYS * EACH
        await sending
        assert await asyncio.gather(*reading) == [list(range(EACH))] * KEYS
    assert sender.longest_gap < GAP


async def _stored(bus: RabbitMQBus, key: str) -> list[int]:
    """The numbers in a log queue, each at the place of its first copy."""
    subscription = await bus.subscribe(log_queue(key), prefetch=100)
    numbers: dict[int, None] = {}
    async with asyncio.timeout(90):
        while len(numbers) < EACH:
            batch = await subscription.take()
            for delivery in batch.deliveries:
                numbers.update((event.parse(Note).number, None) for event in read_body(delivery.body))
            await subscription.ack(batch.deliveries)
    return list(numbers)
