"""A process that a test kills: publishes numbers under three keys, prints what was confirmed, consumes a part.

`python -m tests.integration.in_process_bus.publisher JOURNAL ROUND`
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from shared.bus.in_process import InProcessBus
from shared.bus.port import Subscription
from shared.contracts.envelope import Event, read_body
from shared.contracts.queries import Reply
from shared.contracts.topology import Exchange, Queue

KEYS = ("a", "b", "c")
PREFETCH = 5
LOG = Exchange("test.log", "direct", persistent=True, mandatory=True)
QUEUE = Queue("test.partition", "quorum", tuple((LOG, key) for key in KEYS), single_active_consumer=True)


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def publish(bus: InProcessBus, key: str, count: int, held: asyncio.Semaphore) -> None:
    n = count

    async def one() -> None:
        nonlocal n
        mine, n = n, n + 1
        await bus.publish(LOG, key, Event("test", Reply(result={"n": mine})))
        say("held", key, mine)
        held.release()

    while True:
        await asyncio.gather(*(one() for _ in range(7)))


async def consume(subscription: Subscription, held: asyncio.Semaphore) -> None:
    """Consume at most a third of what is confirmed, so that events are left on any disk."""
    while True:
        for _ in range(9):
            await held.acquire()
        batch = await subscription.take(3)
        for delivery in batch.deliveries:
            for event in read_body(delivery.body):
                say("acking", delivery.key, event.data["result"]["n"])
        await subscription.ack(batch.deliveries)


async def main(journal: Path, start: int) -> None:
    async with InProcessBus(journal) as bus, asyncio.TaskGroup() as tasks:
        await bus.declare([LOG], [QUEUE])
        held = asyncio.Semaphore(0)
        tasks.create_task(consume(await bus.subscribe(QUEUE, prefetch=PREFETCH), held))
        for key in KEYS:
            tasks.create_task(publish(bus, key, start, held))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
