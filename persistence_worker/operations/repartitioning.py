"""`python -m persistence_worker repartition`: another number of partitions, once nothing is left in the old ones.

The number is in the names of exchange and queues, so no command can go astray; but one that still lies in an old
queue would never be applied.
"""

from __future__ import annotations

import asyncio
import sys

from sqlalchemy import Connection, update
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.storage.database import PARTITIONS
from persistence_worker.storage.tables import settings
from shared.bus.port import Bus
from shared.contracts import topology
from shared.errors import Unavailable

CONNECT_TIMEOUT = 10.0  # seconds
QUIET = 3.0  # seconds in which a queue that holds something gives it away


async def repartition(bus: Bus, engine: AsyncEngine, partitions: int) -> int:
    """Do it, with every gateway and worker stopped; the exit code."""
    async with engine.connect() as connection:
        kept = await connection.scalar(PARTITIONS)
    if kept is None or int(kept) == partitions:
        return _say(f"nothing to do: partitions {partitions}")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            while not bus.connected:  # noqa: ASYNC110 - the port is asked, it does not tell
                await asyncio.sleep(0.02)
        old = [topology.log_queue(number, int(kept)) for number in range(int(kept))]
        full = [queue.name for queue, holds in zip(old, await _hold(bus, old), strict=True) if holds]
        letters = await _hold(bus, [topology.dead_queue(queue) for queue in old])
    except (TimeoutError, Unavailable):
        return _fail("the broker does not answer")
    if full:
        return _fail(f"not empty: {', '.join(full)}. Run the workers with {kept} partitions until they are.")
    async with engine.begin() as connection:
        await connection.run_sync(_keep, partitions)
    if any(letters):
        _fail("dead letters of the old partitions stay where they are, and cannot be replayed any more")
    return _say(f"partitions {kept} -> {partitions}; now start everything with BACKCHAT_PARTITIONS={partitions}")


async def _hold(bus: Bus, queues: list[topology.Queue]) -> list[bool]:
    return await asyncio.gather(*(_holds(bus, queue) for queue in queues))


async def _holds(bus: Bus, queue: topology.Queue) -> bool:
    if not await bus.exists(queue):
        return False
    subscription = await bus.subscribe(queue, prefetch=1)
    try:
        async with asyncio.timeout(QUIET):
            return bool((await subscription.take(1)).deliveries)
    except TimeoutError:
        return False
    finally:
        await subscription.close()


def _keep(connection: Connection, partitions: int) -> None:
    connection.execute(update(settings).where(settings.c.name == "partitions").values(value=str(partitions)))


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1
