"""A watchdog that ends the process if its stop hangs in a task or in a thread."""

from __future__ import annotations

import asyncio
import os
import threading

import structlog

from shared.runtime import logs

logger = structlog.get_logger(__name__)

STOP_WITHIN = 20.0  # seconds for a stop, twice the limit of contract P8


class StopWatchdog:
    """Ends the process with exit code 1 if its stop takes longer than `STOP_WITHIN`."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def arm(self) -> None:
        """Start the timer at the first call; later calls have no effect.

        The timer runs in a thread, because the event loop itself may hang. It logs the remaining tasks and threads.
        """
        if self._timer is not None:
            return
        self._timer = threading.Timer(STOP_WITHIN, _give_up, (asyncio.get_running_loop(), STOP_WITHIN))
        self._timer.daemon = True
        self._timer.start()


def _give_up(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    try:
        tasks = sorted(task.get_name() for task in asyncio.all_tasks(loop))
        threads = sorted(thread.name for thread in threading.enumerate() if not thread.daemon)
        logger.critical("stop.timed_out", seconds=seconds, tasks=tasks, threads=threads)
        logs.flush()
    finally:
        os._exit(1)
