"""The list of revoked logins: read from the database four times a second, served from memory.

Gateways poll it each second with the cursor of their last response. A response may repeat a revocation, but
never omits one: transactions commit out of order and the clocks of replicas differ, so each read of the database, and
each response to the cursor of another replica, starts `OVERLAP` earlier. While the database is away, the last known
list is served.
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

INTERVAL = 0.25  # seconds between two reads
OVERLAP = timedelta(seconds=60)  # more than the duration of a transaction and the difference of clocks together
WHOLE = timedelta(seconds=60)  # between two reads of the complete list
CLOCK_SKEW = timedelta(seconds=60)  # a gateway's clock may be behind, so a login is listed that much longer


class Store(Protocol):
    """The table of logins."""

    async def revoked(self, after: datetime | None, expiring_after: datetime) -> list[Revoked]:
        """Return logins revoked `after` a moment (`None`: at any time) with an access token valid at `expiring_after`.

        Raises:
            Unavailable: the database is away.
        """

    async def drain(self) -> None:
        """Wait for transactions whose callers were cancelled."""


class RevocationList:
    """Holds the revoked logins whose access tokens have not expired yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._instance = secrets.token_hex(4)
        self._known: dict[str, tuple[int, Revoked]] = {}  # by sid, in the order of discovery
        self._count = 0
        self._complete_at: datetime | None = None  # all revocations committed by then are known
        self._whole_at = datetime.min.replace(tzinfo=UTC)
        self._failing = False

    async def since(self, cursor: str | None) -> dict[str, Any]:
        """Return the revocations after a cursor of this or another replica; without a valid cursor, all of them.

        The result is `{"cursor": str, "logins": [{"sid": str, "until": int}]}`, with `until` in seconds since 1970.

        Raises:
            Unavailable: the database has not been read since the start.
        """
        if self._complete_at is None:
            raise Unavailable("The list of revocations is not loaded yet.", retry_after=1.0)
        found = [{"sid": revoked.sid, "until": math.ceil(revoked.until.timestamp())} for revoked in self._after(cursor)]
        position = f"{self._instance}.{self._count}.{int(self._complete_at.timestamp() * 1000)}"
        return {"cursor": position, "logins": found}

    async def watch(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self._try_refresh()
            await asyncio.sleep(INTERVAL)

    async def drain(self) -> None:
        """Wait for reads that timed out."""
        await self._store.drain()

    async def _try_refresh(self) -> None:
        try:
            async with deadline():
                await self.refresh(datetime.now(UTC))
        except Unavailable:
            if not self._failing:
                logger.warning("revocation_refresh.failed")
            self._failing = True
        else:
            self._failing = False

    async def refresh(self, now: datetime) -> None:
        """Read new revocations, or the complete list when it is due.

        Raises:
            Unavailable: the database is away; the known list stays.
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
            self._remove_expired(now - CLOCK_SKEW)

    def _remove_expired(self, expired_by: datetime) -> None:
        expired = [sid for sid, (_, revoked) in self._known.items() if revoked.until <= expired_by]
        for sid in expired:
            del self._known[sid]

    def _after(self, cursor: str | None) -> Iterable[Revoked]:
        """Return the revocations after a cursor. For a cursor of this process they are the last ones discovered."""
        try:
            instance, count, milliseconds = (cursor or "").split(".")
            served, since = int(count), datetime.fromtimestamp(int(milliseconds) / 1000, UTC) - OVERLAP
        except (ValueError, OverflowError, OSError):
            return (revoked for _, revoked in self._known.values())
        if instance != self._instance:
            return (revoked for _, revoked in self._known.values() if revoked.at > since)
        newest_first = takewhile(lambda entry: entry[0] > served, reversed(self._known.values()))
        return reversed([revoked for _, revoked in newest_first])
