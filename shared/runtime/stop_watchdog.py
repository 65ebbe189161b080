"""The end of a stop that does not end: whatever waits for ever, in a task or in a thread, keeps no process alive."""

from __future__ import annotations

import asyncio
import os
import threading

import structlog

logger = structlog.get_logger(__name__)

STOP_WITHIN = 20.0  # seconds for a whole stop, twice what one may take (contract P8)


class StopWatchdog:
    """Ends this process by force, with exit code 1, unless its stop has ended by itself in time."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def arm(self) -> None:
        """Let the time run, from the first call on: wherever a stop begins, it is armed, and a stop has one limit.

        A thread counts it, since the loop may be what hangs; it says what is still there.
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
        logger.critical("the stop hangs", seconds=seconds, tasks=tasks, threads=threads)
    finally:
        os._exit(1)
