"""A node of the cluster fails: no confirmed event is lost, each key keeps its order, and publishing continues."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.envelope import read_body
from tests.integration.rabbitmq_bus.conftest import LOG, Note, log_queue, note, publish_until_confirmed
from tests.support.cluster import RabbitMQCluster
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

TOTAL = 5_000
KEYS = 10
EACH = TOTAL // KEYS
THROUGH_LEADER = [f"leader {n}" for n in range(KEYS // 2)]
THROUGH_OTHER = [f"other {n}" for n in range(KEYS // 2)]
GAP = 15.0  # seconds without a confirm, at most: the target for a broker fault


class Sender:
    """Publishes numbered notes in order for each key, each repeatedly until it is confirmed."""

    def __init__(self, bus: RabbitMQBus, keys: list[str]) -> None:
        self._bus = bus
        self.confirmed: dict[str, list[int]] = {key: [] for key in keys}
        self.times: list[float] = []

    async def run(self) -> None:
        await asyncio.gather(*map(self._send, self.confirmed))

    async def _send(self, key: str) -> None:
        for number in range(EACH):
            await publish_until_confirmed(self._bus, LOG, key, note(number), within=120)
            self.confirmed[key].append(number)
            self.times.append(time.monotonic())


async def test_leader_failure_loses_no_confirmed_event(cluster: RabbitMQCluster) -> None:
    """One publisher is connected to the killed node; for the second one only the leader of its queues is lost."""
    async with RabbitMQBus(cluster.nodes[0].url, name="declare") as bus:
        await bus.declare([LOG], [log_queue(key) for key in (*THROUGH_LEADER, *THROUGH_OTHER)])
    leader = await asyncio.to_thread(cluster.leader_of, log_queue(THROUGH_LEADER[0]).name)
    others = [node.url for node in cluster.nodes if node is not cluster.nodes[leader]]
    async with (
        RabbitMQBus(",".join([cluster.nodes[leader].url, *others]), name="connected") as connected,
        RabbitMQBus(",".join(others), name="unaffected") as unaffected,
    ):
        senders = [Sender(connected, THROUGH_LEADER), Sender(unaffected, THROUGH_OTHER)]
        reading = asyncio.gather(*(_stored(unaffected, key) for key in (*THROUGH_LEADER, *THROUGH_OTHER)))
        sending = asyncio.gather(*(sender.run() for sender in senders))
        await until(lambda: all(len(sender.times) > TOTAL / 6 for sender in senders), 30)
        await asyncio.to_thread(cluster.kill_node, leader)
        assert sum(len(sender.times) for sender in senders) < TOTAL
        await sending
        assert await reading == [list(range(EACH))] * KEYS
    for sender in senders:
        assert max(later - earlier for earlier, later in pairwise(sender.times)) < GAP


async def _stored(bus: RabbitMQBus, key: str) -> list[int]:
    """Return the numbers in a log queue, each at the place of its first copy."""
    subscription = await bus.subscribe(log_queue(key), prefetch=100)
    numbers: dict[int, None] = {}
    async with asyncio.timeout(90):
        while len(numbers) < EACH:
            batch = await subscription.take()
            for delivery in batch.deliveries:
                numbers.update((event.parse(Note).number, None) for event in read_body(delivery.body))
            await subscription.ack(batch.deliveries)
    return list(numbers)
