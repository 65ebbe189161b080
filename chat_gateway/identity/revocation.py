"""Revocation: the logins that are over although their access tokens are not yet (design §2).

Auth is asked again and again, without the broker in between. What an answer says is sure up to the moment at
which it was asked for, so a gateway whose last answer is older than `FRESH_FOR` does not know: it may have been
paused, or auth may be away. Events then wait for a fresh answer, for a while; after that they go on by the last
known list, and only new sockets are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

logger = structlog.get_logger(__name__)

POLL_EVERY = 0.5  # seconds
FIRST_POLLS_EVERY = 0.1  # seconds, until there was an answer: nobody can come in before
WARN_AFTER = 3  # polls in a row that fail; the first ones may come before auth is up
POLL_WITHIN = 10.0  # seconds for one answer, which may hold hundreds of thousands of logins
FRESH_FOR = (
    1.5  # seconds; with the 0.5 s of which auth's memory may be behind, a logout is known within 2 (contract §1)
)
HOLD_MAX = 5.0  # seconds that events wait for a fresh answer
STALLED_FOR = 2.0  # seconds without a heartbeat (each POLL_EVERY), after which we have been paused
BUCKET = 300  # seconds; logins that may be forgotten in the same five minutes are forgotten together
APPLY_BATCH = 2_000  # logins applied before everybody else has a turn

FetchRevocations = Callable[[str | None], Awaitable[dict[str, Any]]]


class RevokedLogins:
    """The revoked logins whose tokens may still be unexpired: forgotten once none can be."""

    def __init__(self) -> None:
        self._buckets: dict[int, set[str]] = {}  # by the end of the bucket, in units of BUCKET

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def __contains__(self, login_id: object) -> bool:
        return any(login_id in bucket for bucket in self._buckets.values())

    def add(self, login_id: str, until: int) -> bool:
        """Keep one until then (seconds since 1970); false if it was there already."""
        bucket = self._buckets.setdefault(until // BUCKET + 1, set())
        if login_id in bucket:
            return False
        bucket.add(login_id)
        return True

    def forget(self, now: float) -> None:
        """Drop what has passed."""
        for end in [end for end in self._buckets if end * BUCKET <= now]:
            del self._buckets[end]


class Revocation:
    """Follows auth's list. `revoked` is called for each login as it becomes known."""

    def __init__(self, fetch: FetchRevocations, revoked: Callable[[str], None]) -> None:
        self._fetch = fetch
        self._revoked = revoked
        self._logins = RevokedLogins()
        self._cursor: str | None = None
        self.fresh_until = float("-inf")  # till then what was revoked 2 s before is known (monotonic, as all)
        self._hold_until = float("-inf")
        self._alive_at = time.monotonic()
        self._answer_arrived = asyncio.Event()  # replaced with each answer
        self._poll_now = asyncio.Event()
        self._failed = 0  # polls in a row

    @property
    def answered(self) -> bool:
        """Whether the list came at least once."""
        return self.fresh_until > float("-inf")

    def __len__(self) -> int:
        return len(self._logins)

    def __contains__(self, login_id: object) -> bool:
        return login_id in self._logins

    def fresh(self, now: float) -> bool:
        """Whether every logout of more than two seconds ago is known."""
        return now <= self.fresh_until

    async def wait_until_fresh(self) -> bool:
        """Wait until the list is fresh, or it is time to go on without; whether it is fresh."""
        if not self.fresh(time.monotonic()):
            self._heartbeat()  # an event may come before the poller finds out that we were paused
        until = time.monotonic() + HOLD_MAX  # its own, for answers that come late move `_hold_until` on
        while not self.fresh(now := time.monotonic()):
            end = min(until, self._hold_until)
            if now >= end:
                return False
            try:
                async with asyncio.timeout(end - now):
                    await self._answer_arrived.wait()
            except TimeoutError:
                return self.fresh(time.monotonic())
        return True

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            self._heartbeat()
            if await self._poll() and not self.fresh(time.monotonic()):
                continue  # it came, but late; there may be news by now
            self._poll_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY if self.answered else FIRST_POLLS_EVERY):
                    await self._poll_now.wait()

    def _heartbeat(self) -> None:
        """We run. After a pause events wait for a fresh answer, whatever was known before."""
        now = time.monotonic()
        if now - self._alive_at > STALLED_FOR and self.answered:
            self._hold_until = now + HOLD_MAX
            self._poll_now.set()
        self._alive_at = now

    async def _poll(self) -> bool:
        begun = time.monotonic()
        try:
            await self._apply(await self._answer(begun + POLL_WITHIN))
        except Exception as error:  # noqa: BLE001 - whatever the transport raises: the list stays as it is
            self._failed += 1
            if self._failed == WARN_AFTER:
                logger.warning("no revocations from auth", reason=type(error).__name__, answered=self.answered)
            return False
        if self._failed >= WARN_AFTER:
            logger.info("revocations from auth again")
        self._failed = 0
        self.fresh_until = begun + FRESH_FOR
        self._hold_until = max(self._hold_until, begun + FRESH_FOR + HOLD_MAX)
        self._answer_arrived.set()
        self._answer_arrived = asyncio.Event()
        return True

    async def _answer(self, deadline: float) -> dict[str, Any]:
        asking = asyncio.ensure_future(self._fetch(self._cursor))
        try:
            while not asking.done() and time.monotonic() < deadline:
                await asyncio.wait({asking}, timeout=POLL_EVERY)
                self._heartbeat()
            if not asking.done():
                raise TimeoutError
            return asking.result()
        finally:
            asking.cancel()

    async def _apply(self, answer: dict[str, Any]) -> None:
        cursor, entries, now = answer["cursor"], answer["logins"], time.time()
        if not isinstance(cursor, str):
            raise TypeError("the cursor is no string")
        self._logins.forget(now)
        for number, entry in enumerate(entries, 1):
            login_id, until = entry["sid"], int(entry["until"])
            if until > now and self._logins.add(login_id, until):
                self._revoked(login_id)
            if number % APPLY_BATCH == 0:
                await asyncio.sleep(0)
                self._heartbeat()
        self._cursor = cursor
