"""Argon2id hashes of passcodes, computed in a small thread pool with a bounded queue.

One hash takes 20 to 40 ms of a core and 19 MiB, by design. Therefore it never runs on the event loop, the number of
concurrent hashes is limited, and requests that would wait too long are refused immediately.
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
    """Hashes and verifies passcodes. Settings may raise the OWASP profile: 19 MiB, 2 passes, 1 lane."""

    def __init__(self, settings: AuthSettings, metrics: Metrics) -> None:
        """Compute the dummy hash that passcodes of unknown users are verified against."""
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.hashing_time, memory_cost=settings.hashing_memory, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.hashing_threads, thread_name_prefix="argon2")
        self._capacity = settings.hashing_threads + settings.hashing_queue
        self._pending = 0
        self._metrics = metrics
        self._dummy_hash = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, passcode: str) -> str:
        """Return the hash to store, as a PHC string.

        Raises:
            Unavailable: the queue is full, or the request's deadline passed in it.
        """
        return await self._run(lambda: self._argon2.hash(passcode))

    async def verify(self, stored: str | None, passcode: str) -> bool:
        """Return whether `passcode` matches the hash `stored`. Without a stored hash it does as much work, for `False`.

        Raises:
            Unavailable: the queue is full, or the request's deadline passed in it.
        """
        return await self._run(lambda: self._matches(stored or self._dummy_hash, passcode)) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Return whether `stored` was computed with parameters other than the current ones."""
        return self._argon2.check_needs_rehash(stored)

    def close(self) -> None:
        """Stop the threads; hashes that have started are completed, queued ones are cancelled."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _matches(self, stored: str, passcode: str) -> bool:
        try:
            return self._argon2.verify(stored, passcode)
        except InvalidHashError:
            logger.error("passcode_hash.rejected")  # noqa: TRY400 - the traceback adds nothing
            return False
        except Argon2Error:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._capacity:
            self._metrics.hashing_refusals.inc()
            raise Unavailable("Too many concurrent logins.", retry_after=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + deadlines.current_deadline() - loop.time()

        def timed() -> T:
            if time.monotonic() > deadline:  # the request has already been answered with `unavailable`
                self._metrics.hashing_refusals.inc()
                raise Unavailable("Too many concurrent logins.", retry_after=RETRY_AFTER)
            with self._metrics.hashing_seconds.time():
                return work()

        # The work holds its place in the queue until it ends, even if the caller is cancelled: a thread that has
        # started a hash cannot be interrupted. Cancelling the caller only removes work that has not started.
        self._pending += 1
        future = self._threads.submit(timed)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        return await asyncio.wrap_future(future)

    def _release(self) -> None:
        self._pending -= 1
