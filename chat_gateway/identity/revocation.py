"""Revocation: the logins that were revoked while their access tokens are unexpired.

The gateway polls auth over HTTP, independently of the broker. An answer is complete up to the time of its request. If
the last answer is older than `FRESH_FOR`, the process was paused or auth is unreachable, and the list may lack
revocations. Client events then wait for a fresh answer, at most `HOLD_MAX` seconds; after that they are handled by the
last known list, and only new sockets are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from chat_gateway.identity.authentication import Identity

logger = structlog.get_logger(__name__)

POLL_EVERY = 0.5  # seconds
FIRST_POLLS_EVERY = 0.1  # seconds, until the first answer: no socket can be authenticated before it
WARN_AFTER = 3  # failed polls in a row; the first ones may precede the start of auth
POLL_WITHIN = 10.0  # seconds for one answer, which may hold hundreds of thousands of logins
# Seconds. The memory of auth may be 0.5 s behind its database, so a logout is known within 2 s (contract.md §1.4).
FRESH_FOR = 1.5
HOLD_MAX = 5.0  # seconds that events wait for a fresh answer
STALLED_FOR = 2.0  # seconds without a heartbeat (one each POLL_EVERY) that count as a pause of the process
BUCKET = 300  # seconds; logins whose tokens expire in the same bucket are removed together
APPLY_BATCH = 2_000  # logins applied before the event loop runs other tasks

FetchRevocations = Callable[[str | None], Awaitable[dict[str, Any]]]


class RevokedLogins:
    """The revoked logins, each kept until all its tokens are expired."""

    def __init__(self) -> None:
        self._buckets: dict[int, set[str]] = {}  # by the end of the bucket, in units of BUCKET

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def __contains__(self, login_id: object) -> bool:
        return any(login_id in bucket for bucket in self._buckets.values())

    def add(self, login_id: str, until: int) -> bool:
        """Keep a login until `until` (seconds since 1970); return false if it was known."""
        bucket = self._buckets.setdefault(until // BUCKET + 1, set())
        if login_id in bucket:
            return False
        bucket.add(login_id)
        return True

    def forget(self, now: float) -> None:
        """Remove the logins whose tokens are expired at `now` (seconds since 1970)."""
        for end in [end for end in self._buckets if end * BUCKET <= now]:
            del self._buckets[end]


class Revocation:
    """Polls the list of auth. `revoked` is called with the id of each newly revoked login."""

    def __init__(self, fetch: FetchRevocations, revoked: Callable[[str], None]) -> None:
        self._fetch = fetch
        self._revoked = revoked
        self._logins = RevokedLogins()
        self._cursor: str | None = None
        self.fresh_until = float("-inf")  # until then, revocations older than 2 s are known (all times are monotonic)
        self._hold_until = float("-inf")
        self._alive_at = time.monotonic()
        self._answer_arrived = asyncio.Event()  # replaced with each answer
        self._poll_now = asyncio.Event()
        self._failed = 0  # polls in a row

    @property
    def answered(self) -> bool:
        """Whether the list was received at least once."""
        return self.fresh_until > float("-inf")

    def __len__(self) -> int:
        return len(self._logins)

    def __contains__(self, login_id: object) -> bool:
        return login_id in self._logins

    def covers(self, identity: Identity) -> bool:
        """Whether the login of a token, or for a service its key or the token itself, was revoked."""
        return any(revocable in self._logins for revocable in identity.revocable_ids)

    def fresh(self, now: float) -> bool:
        """Whether every revocation older than two seconds is known. `now` is in monotonic seconds."""
        return now <= self.fresh_until

    async def wait_until_fresh(self) -> bool:
        """Wait until the list is fresh or the wait is too long; return whether it is fresh."""
        if not self.fresh(time.monotonic()):
            self._heartbeat()  # an event may be read before the poller notices a pause of the process
        until = time.monotonic() + HOLD_MAX  # a separate bound, because late answers postpone `_hold_until`
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
        """Poll until cancelled."""
        while True:
            self._heartbeat()
            if await self._poll() and not self.fresh(time.monotonic()):
                continue  # the answer was late and is already stale
            self._poll_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY if self.answered else FIRST_POLLS_EVERY):
                    await self._poll_now.wait()

    def _heartbeat(self) -> None:
        """Note that the process runs. After a pause, events wait for a fresh answer."""
        now = time.monotonic()
        if now - self._alive_at > STALLED_FOR and self.answered:
            self._hold_until = now + HOLD_MAX
            self._poll_now.set()
        self._alive_at = now

    async def _poll(self) -> bool:
        begun = time.monotonic()
        try:
            await self._apply(await self._answer(begun + POLL_WITHIN))
        except Exception as error:  # noqa: BLE001 - the transport may raise anything; the list stays as it is
            self._failed += 1
            if self._failed == WARN_AFTER:
                logger.warning("revocations.poll_failed", reason=type(error).__name__, answered=self.answered)
            return False
        if self._failed >= WARN_AFTER:
            logger.info("revocations.recovered")
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
            raise TypeError("the cursor is not a string")
        self._logins.forget(now)
        for number, entry in enumerate(entries, 1):
            login_id, until = entry["sid"], int(entry["until"])
            if until > now and self._logins.add(login_id, until):
                self._revoked(login_id)
            if number % APPLY_BATCH == 0:
                await asyncio.sleep(0)
                self._heartbeat()
        self._cursor = cursor
