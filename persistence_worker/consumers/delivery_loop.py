"""The loop of consumers that process deliveries one by one and acknowledge each when its effect is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus, Delivery
from shared.contracts.topology import DEAD, Queue, dead_queue
from shared.database.errors import reason
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

PREFETCH = 10  # bodies
RETRY_PAUSE = 1.0  # seconds


async def consume(
    queue: Queue,
    process: Callable[[Delivery], Awaitable[None]],
    *,
    bus: Bus,
    database: Database,
    on_subscribe: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Call `process` for each delivery until cancelled, and `on_subscribe` after each subscription.

    While the database is unavailable, no deliveries are held.

    Raises:
        Exception: `process` raised a permanent error, which it should have turned into a dead letter.
    """
    while True:
        await database.ready()
        await bus.declare((DEAD,), (dead_queue(queue),))
        subscription = await bus.subscribe(queue, prefetch=PREFETCH)
        try:
            if on_subscribe is not None:
                await on_subscribe()
            while True:
                taken = await subscription.take()
                for delivery in taken.deliveries:
                    await process(delivery)
                    await subscription.ack([delivery])
        except Exception as error:
            if is_permanent(error):
                raise
            logger.warning("consumer.paused", queue=queue.name, reason=reason(error), collapse=reason(error))
            if not isinstance(error, Unavailable):
                database.report_failure(error)
            await asyncio.sleep(RETRY_PAUSE)
        finally:
            await subscription.close()
