"""The loop of periodic jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.database.errors import reason

logger = structlog.get_logger(__name__)


async def run_periodically(
    job: Callable[[], Awaitable[object]], *, paused_event: str, interval: float, database: Database
) -> None:
    """Run `job` every `interval` seconds until cancelled, while the database is available.

    A transient error is logged as `paused_event`; the job runs again after the interval.

    Raises:
        Exception: the job raised a permanent error.
    """
    while True:
        await database.ready()
        try:
            await job()
        except Exception as error:
            if is_permanent(error):
                raise
            logger.warning(paused_event, reason=reason(error), collapse=reason(error))
        await asyncio.sleep(interval)
