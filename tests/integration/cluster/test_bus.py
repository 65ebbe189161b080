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

TOTAL = 5_000
KEYS = 10
EACH = TOTAL // KEYS
THROUGH_LEADER = [f"leader {n}" for n in range(KEYS // 2)]
THROUGH_OTHER = [f"other {n}" for n in range(KEYS // 2)]
GAP = 15.0  # seconds without any confirm, at most: the target of a broker fault


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


async def test_nothing_confirmed_is_lost_when_a_leader_dies(cluster: RabbitMQCluster) -> None:
    """Two publishers: one is connected to the node that dies, the other loses only the queues' leader."""
    async with RabbitMQBus(cluster.nodes[0].url, name="declare") as bus:
        await bus.declare([LOG], [log_queue(key) for key in (*THROUGH_LEADER, *THROUGH_OTHER)])
    leader = await asyncio.to_thread(cluster.leader_of, log_queue(THROUGH_LEADER[0]).name)
    others = [node.url for node in cluster.nodes if node is not cluster.nodes[leader]]
    async with (
        RabbitMQBus(",".join([cluster.nodes[leader].url, *others]), name="bereaved") as bereaved,
        RabbitMQBus(",".join(others), name="bystander") as bystander,
    ):
        senders = [Sender(bereaved, THROUGH_LEADER), Sender(bystander, THROUGH_OTHER)]
        reading = asyncio.gather(*(_stored(bystander, key) for key in (*THROUGH_LEADER, *THROUGH_OTHER)))
        sending = asyncio.gather(*(sender.run() for sender in senders))
        await until(lambda: all(len(sender.times) > TOTAL / 6 for sender in senders))
        await asyncio.to_thread(cluster.kill_node, leader)
        assert sum(len(sender.times) for sender in senders) < TOTAL
        await sending
        assert await reading == [list(range(EACH))] * KEYS
    for sender in senders:
        assert max(later - earlier for earlier, later in pairwise(sender.times)) < GAP


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
