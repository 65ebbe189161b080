"""The services on a cluster: each broker node may fail under load without a loss (contract P1-P3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.topology import log_queue
from tests.conftest import Fresh
from tests.e2e.test_crashes import answered, check
from tests.support.client import PATIENCE, Account, Device, new_account
from tests.support.cluster import RabbitMQCluster
from tests.support.stack import DistributedStack, running_stack
from tests.support.waiting import pause, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.e2e]

USERS = 4
PACE = 0.1  # seconds between two messages of a user
WHILE_DOWN = 40  # messages acked while a node is down
GAP = 15.0  # seconds without an ack, at most: the target for a broker fault
PARTITIONS = 4


@pytest.fixture
def stack(cluster: RabbitMQCluster, new_database: Fresh, tmp_path: Path) -> Iterator[DistributedStack]:
    with new_database() as postgresql_url:
        urls = {"postgresql_url": postgresql_url, "amqp_url": cluster.url}
        with running_stack(DistributedStack(tmp_path, **urls)) as stack:
            yield stack


class Talker:
    """Sends a user's messages in order, each repeatedly until it is acked."""

    def __init__(self, device: Device, session: dict[str, Any], acks: list[float]) -> None:
        self.device = device
        self.session = session
        self.acked: list[str] = []
        self._acks = acks
        self._stopping = False

    async def run(self) -> None:
        number = 0
        while not self._stopping:
            payload = {"session_id": self.session["id"], "content": f"{number}", "client_message_id": f"{number}"}
            ack = await self.device.call("send_message", payload)
            if ack["ok"]:
                self.acked.append(ack["message_id"])
                self._acks.append(time.monotonic())
                number += 1
            else:
                assert ack["error"]["code"] == "unavailable", ack
            await pause(PACE, "the rate of the load")

    def stop(self) -> None:
        self._stopping = True


async def test_each_node_may_fail_under_load(cluster: RabbitMQCluster, stack: DistributedStack) -> None:
    """The first one leads a partition of the log. The next node is killed when all nodes run again."""
    acks: list[float] = []
    accounts = [await new_account(stack.auth_url) for _ in range(USERS)]
    talkers = [await _talker(stack, account, acks) for account in accounts]
    talking = [asyncio.create_task(talker.run()) for talker in talkers]
    leader = await asyncio.to_thread(cluster.leader_of, log_queue(0, PARTITIONS).name)
    for victim in (leader, *(index for index in range(len(cluster.nodes)) if index != leader)):
        await _more_acks(acks, WHILE_DOWN)
        await asyncio.to_thread(cluster.kill_node, victim)
        await _more_acks(acks, WHILE_DOWN)
        await _reads_are_answered(talkers[0])
        await asyncio.to_thread(cluster.start_node, victim)
    await _more_acks(acks, WHILE_DOWN)
    for talker in talkers:
        talker.stop()
    await asyncio.gather(*talking)
    for account, talker in zip(accounts, talkers, strict=True):
        await talker.device.client.disconnect()
        async with Device(stack.gateway_urls[0], account.token) as device:
            check(await answered(device, talker.session, talker.acked[-1]), talker.acked)
    assert max(later - earlier for earlier, later in pairwise(acks)) < GAP


async def _talker(stack: DistributedStack, account: Account, acks: list[float]) -> Talker:
    device = Device(stack.gateway_urls[-1], account.token)
    await device.__aenter__()
    return Talker(device, await device.start_chat(), acks)


async def _more_acks(acks: list[float], count: int) -> None:
    goal = len(acks) + count
    await until(lambda: len(acks) >= goal, PATIENCE)


async def _reads_are_answered(talker: Talker) -> None:
    """Wait until a read succeeds while the node is down, which may have been the leader of the query queue."""

    async def read() -> bool:
        return bool((await talker.device.call("get_messages", {"session_id": talker.session["id"]}))["ok"])

    await until(read, GAP, every=0.1)
