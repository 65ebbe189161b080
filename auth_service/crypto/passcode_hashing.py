"""Argon2id in a few threads of its own, with a bounded queue before them.

A hash costs 20 to 40 ms of a core and 19 MiB, by design. So it never runs on the event loop, only a few run at
once, and what would have to wait too long is refused at once instead of piling up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
import structlog
from argon2.exceptions import Argon2Error, InvalidHashError

from auth_service import deadlines
from auth_service.metrics import Metrics
from auth_service.settings import AuthSettings
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

T = TypeVar("T")

RETRY_AFTER = 1.0  # seconds


class Argon2Hasher:
    """Hashes and verifies passcodes (OWASP profile: 19 MiB, 2 passes, 1 lane; settings may raise it)."""

    def __init__(self, settings: AuthSettings, metrics: Metrics) -> None:
        """Takes one hash's time: it makes the hash that unknown ids are verified against."""
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.hashing_time, memory_cost=settings.hashing_memory, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.hashing_threads, thread_name_prefix="argon2")
        self._places = settings.hashing_threads + settings.hashing_queue
        self._taken = 0
        self._metrics = metrics
        self._nobody = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, passcode: str) -> str:
        """The PHC string to store.

        Raises:
            Unavailable: too many are waiting.
        """
        return await self._run(lambda: self._argon2.hash(passcode))

    async def verify(self, stored: str | None, passcode: str) -> bool:
        """Whether `passcode` is the one behind `stored`; without one it is not, after just as much work.

        Raises:
            Unavailable: too many are waiting.
        """
        return await self._run(lambda: self._matches(stored or self._nobody, passcode)) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than ours."""
        return self._argon2.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads after the work in hand."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _matches(self, stored: str, passcode: str) -> bool:
        try:
            return self._argon2.verify(stored, passcode)
        except InvalidHashError:
            logger.error("a stored passcode hash cannot be read")  # noqa: TRY400 - the trace says no more
            return False
        except Argon2Error:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._taken >= self._places:
            self._metrics.hashing_refusals.inc()
            raise Unavailable("Too many logins at once.", retry_after=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        latest = time.monotonic() + deadlines.latest() - loop.time()

        def timed() -> T:
            if time.monotonic() > latest:  # whoever asked has been told `unavailable` by now
                self._metrics.hashing_refusals.inc()
                raise Unavailable("Too many logins at once.", retry_after=RETRY_AFTER)
            with self._metrics.hashing_seconds.time():
                return work()

        # The place belongs to the work, not to the caller: one that goes away frees it only where the work has not
        # begun, and then it never will.
        self._taken += 1
        future = self._threads.submit(timed)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._taken -= 1
