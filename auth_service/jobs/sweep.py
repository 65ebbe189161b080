"""What nobody needs any more is removed: expired logins and tokens, old tallies, guests who cannot come back."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from shared.contracts.payload import utc_now
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

INTERVAL = 300.0  # seconds between two sweeps
BATCH = 1_000  # rows of a kind in one transaction
PAUSE = 0.1  # seconds between two transactions
REVOKED_FOR = timedelta(days=1)  # a revoked login is kept, longer than any access token lives
TALLIES_FOR = timedelta(days=90)
GUESSES_FOR = timedelta(days=1)  # tallies of what never succeeded


class Store(Protocol):
    """Where all of it is kept. Each call is one transaction and may raise `Unavailable`."""

    async def sweep_tokens(self, now: datetime, most: int) -> int:
        """Remove refresh tokens that have expired; how many."""

    async def sweep_logins(self, expired_by: datetime, revoked_by: datetime, most: int) -> int:
        """Remove logins that have expired, and those that were revoked long enough ago; how many."""

    async def sweep_tallies(self, known_by: datetime, guessed_by: datetime, most: int) -> int:
        """Remove tallies that were not touched since; how many."""

    async def sweep_guests(self, now: datetime, created_by: datetime, most: int) -> int:
        """Delete the accounts of guests who have no login left, and tell of it; how many."""


class Sweep:
    """Sweeps every few minutes, a little at a time; replicas do no harm to each other."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.all()
            except Unavailable:
                logger.info("nothing swept, the database is away")
            await asyncio.sleep(INTERVAL)

    async def all(self) -> int:
        """Sweep everything once; how many rows.

        Raises:
            Unavailable: the database is away; the rest stays for the next time.
        """
        total = 0
        while swept := await self._once():
            total += swept
            await asyncio.sleep(PAUSE)
        if total:
            logger.info("swept", rows=total)
        return total

    async def _once(self) -> int:
        now = utc_now()
        swept = await self._store.sweep_guests(now, now - REVOKED_FOR, BATCH)  # before their logins are gone
        swept += await self._store.sweep_tokens(now, BATCH)
        swept += await self._store.sweep_logins(now, now - REVOKED_FOR, BATCH)
        return swept + await self._store.sweep_tallies(now - TALLIES_FOR, now - GUESSES_FOR, BATCH)
