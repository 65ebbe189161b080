"""Consuming a queue whose deliveries are taken one by one, each acked when what it asks for is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus, Delivery
from shared.contracts.topology import DEAD, Queue, dead_queue
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

PREFETCH = 10  # bodies
RETRY_PAUSE = 1.0  # seconds


async def _nothing() -> None:
    """What there is to do first, where there is nothing."""


async def consume(
    queue: Queue,
    take: Callable[[Delivery], Awaitable[None]],
    *,
    bus: Bus,
    database: Database,
    first: Callable[[], Awaitable[None]] = _nothing,
) -> None:
    """Consume until cancelled; while the database is away nothing is held. `first` runs at each subscription.

    Raises:
        Exception: `take` raised poison; it is to bury that itself.
    """
    while True:
        await database.ready()
        await bus.declare((DEAD,), (dead_queue(queue),))
        subscription = await bus.subscribe(queue, prefetch=PREFETCH)
        try:
            await first()
            while True:
                taken = await subscription.take()
                for delivery in taken.deliveries:
                    await take(delivery)
                    await subscription.ack([delivery])
        except Exception as error:
            if is_permanent(error):
                raise
            logger.warning("deliveries wait", queue=queue.name, reason=type(error).__name__)
            if not isinstance(error, Unavailable):
                database.doubt()
            await asyncio.sleep(RETRY_PAUSE)
        finally:
            await subscription.close()
