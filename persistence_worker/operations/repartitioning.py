"""The command `python -m persistence_worker repartition`: changes the number of partitions of a database.

The number is part of the names of exchange and queues, so that no command reaches a wrong partition. But a command that
is left in an old queue would never be applied, so the old queues must be empty.
"""

from __future__ import annotations

import asyncio
import sys

from sqlalchemy import Connection, update
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.operations.connecting import wait_until_connected
from persistence_worker.storage.database import PARTITIONS
from persistence_worker.storage.tables import settings
from shared.bus.port import Bus
from shared.contracts import topology
from shared.errors import Unavailable

QUIET = 3.0  # seconds without a delivery after which a queue counts as empty


async def repartition(bus: Bus, engine: AsyncEngine, partitions: int) -> int:
    """Store another number of partitions, while all gateways and workers are stopped; return the exit code."""
    async with engine.connect() as connection:
        stored = await connection.scalar(PARTITIONS)
    if stored is None or int(stored) == partitions:
        return _print(f"nothing to do: partitions {partitions}")
    try:
        await wait_until_connected(bus)
        old = [topology.log_queue(number, int(stored)) for number in range(int(stored))]
        used = [queue.name for queue, holds in zip(old, await _are_used(bus, old), strict=True) if holds]
        letters = await _are_used(bus, [topology.dead_queue(queue) for queue in old])
    except (TimeoutError, Unavailable):
        return _fail("the broker does not answer")
    if used:
        return _fail(f"not empty: {', '.join(used)}. Run the workers with {stored} partitions until they are.")
    async with engine.begin() as connection:
        await connection.run_sync(_store, partitions)
    if any(letters):
        _fail("dead letters of the old partitions stay in their queues, and cannot be replayed any more")
    return _print(f"partitions {stored} -> {partitions}; now start all services with BACKCHAT_PARTITIONS={partitions}")


async def _are_used(bus: Bus, queues: list[topology.Queue]) -> list[bool]:
    return await asyncio.gather(*(_is_used(bus, queue) for queue in queues))


async def _is_used(bus: Bus, queue: topology.Queue) -> bool:
    """Whether a queue exists and has a message."""
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


def _store(connection: Connection, partitions: int) -> None:
    connection.execute(update(settings).where(settings.c.name == "partitions").values(value=str(partitions)))


def _print(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1
