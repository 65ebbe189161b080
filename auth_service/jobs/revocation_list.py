"""Which logins were revoked lately: read from the database several times a second, told from memory.

Gateways ask each second for what is new since a cursor (design §2). Repeats are allowed, omissions never:
transactions commit out of order and replicas' clocks differ, so every reading and every answer to another replica's
cursor goes back by `OVERLAP`. While the database is away the last known list is told.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Protocol

import structlog

from auth_service.deadlines import deadline
from auth_service.domain.revocations import Revoked
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

INTERVAL = 0.25  # seconds between two readings
OVERLAP = timedelta(seconds=60)  # more than a transaction lasts and replicas' clocks differ, together
WHOLE = timedelta(seconds=60)  # between two readings of everything that still matters
CLOCK_SKEW = timedelta(seconds=60)  # that a gateway's clock may be behind: as much longer a login is remembered


class Store(Protocol):
    """Where logins are kept."""

    async def revoked(self, after: datetime | None, expiring_after: datetime) -> list[Revoked]:
        """The logins revoked after a moment (`None`: ever) whose last access token expires after another.

        Raises `Unavailable`.
        """

    async def settle(self) -> None:
        """Wait for transactions that nobody waits for any more."""


class Revocations:
    """The logins whose access tokens have not run out yet though they count no more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._instance = secrets.token_hex(4)
        self._known: dict[str, tuple[int, Revoked]] = {}  # by sid, in the order in which they were learnt
        self._count = 0
        self._complete_at: datetime | None = None  # everything committed by then is known
        self._whole_at = datetime.min.replace(tzinfo=UTC)
        self._failing = False

    async def since(self, cursor: str | None) -> dict[str, Any]:
        """What was revoked since a cursor of this or another replica; without one, or with a strange one, all.

        Gives `{"cursor": str, "logins": [{"sid": str, "until": int}]}`, `until` in seconds since 1970.

        Raises:
            Unavailable: the database has not answered yet since the start, so nothing is known.
        """
        if self._complete_at is None:
            raise Unavailable("Revocations are not known yet.", retry_after=1.0)
        found = [{"sid": revoked.sid, "until": math.ceil(revoked.until.timestamp())} for revoked in self._after(cursor)]
        told = f"{self._instance}.{self._count}.{int(self._complete_at.timestamp() * 1000)}"
        return {"cursor": told, "logins": found}

    async def watch(self) -> None:
        """Read for ever."""
        while True:
            await self._look()
            await asyncio.sleep(INTERVAL)

    async def settle(self) -> None:
        """Wait for a reading that was given up."""
        await self._store.settle()

    async def _look(self) -> None:
        try:
            async with deadline():
                await self.refresh(datetime.now(UTC))
        except Unavailable:
            if not self._failing:
                logger.warning("revocations cannot be read")
            self._failing = True
        else:
            self._failing = False

    async def refresh(self, now: datetime) -> None:
        """Read once.

        Raises:
            Unavailable: the database is away; the last known list stays.
        """
        whole = self._complete_at is None or now - self._whole_at >= WHOLE
        after = None if whole or self._complete_at is None else self._complete_at - OVERLAP
        for revoked in await self._store.revoked(after, now - CLOCK_SKEW):
            if revoked.sid not in self._known:
                self._count += 1
                self._known[revoked.sid] = (self._count, revoked)
        self._complete_at = now
        if whole:
            self._whole_at = now
            self._forget(now - CLOCK_SKEW)

    def _forget(self, expired_by: datetime) -> None:
        over = [sid for sid, (_, revoked) in self._known.items() if revoked.until <= expired_by]
        for sid in over:
            del self._known[sid]

    def _after(self, cursor: str | None) -> Iterable[Revoked]:
        """What a cursor has not been told; our own one's are the newest, from behind."""
        try:
            instance, count, milliseconds = (cursor or "").split(".")
            told, since = int(count), datetime.fromtimestamp(int(milliseconds) / 1000, UTC) - OVERLAP
        except (ValueError, OverflowError, OSError):
            return (revoked for _, revoked in self._known.values())
        if instance != self._instance:
            return (revoked for _, revoked in self._known.values() if revoked.at > since)
        news = takewhile(lambda entry: entry[0] > told, reversed(self._known.values()))
        return reversed([revoked for _, revoked in news])
