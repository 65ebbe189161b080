"""The end of a stop that does not end: whatever waits for ever, in a task or in a thread, keeps no process alive."""

from __future__ import annotations

import asyncio
import os
import threading

import structlog

logger = structlog.get_logger(__name__)

STOP_WITHIN = 20.0  # seconds for a whole stop, twice what one may take (contract P8)


def arm(seconds: float = STOP_WITHIN) -> None:
    """End this process by force, with exit code 1, unless it has ended by itself after so many seconds.

    A thread does it, since the loop may be what hangs; it says what is still there.
    """
    timer = threading.Timer(seconds, _give_up, (asyncio.get_running_loop(), seconds))
    timer.daemon = True
    timer.start()


def _give_up(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    try:
        tasks = sorted(task.get_name() for task in asyncio.all_tasks(loop))
        threads = sorted(thread.name for thread in threading.enumerate() if not thread.daemon)
        logger.critical("the stop hangs", seconds=seconds, tasks=tasks, threads=threads)
    finally:
        os._exit(1)
