"""The sweep deletes expired logins and refresh tokens, old tallies, and the accounts of guests without a login."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from shared.contracts.payload import utc_now
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

INTERVAL = 300.0  # seconds between two sweeps
BATCH = 1_000  # rows of one table in one transaction
PAUSE = 0.1  # seconds between two transactions
REVOKED_FOR = timedelta(days=1)  # retention of a revoked login: longer than the lifetime of any access token
TALLIES_FOR = timedelta(days=90)  # retention of the tallies of attempts
GUESSES_FOR = timedelta(days=1)  # retention of tallies without a success


class Store(Protocol):
    """The swept tables. Each call is one transaction, returns the number of rows, and may raise `Unavailable`."""

    async def sweep_tokens(self, now: datetime, limit: int) -> int:
        """Delete expired refresh tokens."""

    async def sweep_logins(self, expired_by: datetime, revoked_by: datetime, limit: int) -> int:
        """Delete logins that expired by one moment or were revoked by another, if their access tokens have expired."""

    async def sweep_ended_tokens(self, expired_by: datetime, limit: int) -> int:
        """Delete the records of ended tokens of services that expired by a moment."""

    async def sweep_tallies(self, known_by: datetime, guessed_by: datetime, limit: int) -> int:
        """Delete tallies last updated by `known_by`, or by `guessed_by` if no attempt of theirs succeeded."""

    async def sweep_guests(self, now: datetime, created_by: datetime, limit: int) -> int:
        """Delete accounts of guests without an active login, and add their `UserDeleted` events to the outbox."""


class Sweep:
    """Sweeps every `INTERVAL`, in small transactions. Several replicas may sweep at the same time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep_all()
            except Unavailable:
                logger.info("sweep.paused")
            await asyncio.sleep(INTERVAL)

    async def sweep_all(self) -> int:
        """Delete everything that is due and return the number of rows.

        Raises:
            Unavailable: the database is away. The remaining rows are deleted by a later sweep.
        """
        total = 0
        while swept := await self._once():
            total += swept
            await asyncio.sleep(PAUSE)
        if total:
            logger.info("sweep.completed", rows=total)
        return total

    async def _once(self) -> int:
        now = utc_now()
        swept = await self._store.sweep_guests(now, now - REVOKED_FOR, BATCH)  # before their logins are deleted
        swept += await self._store.sweep_tokens(now, BATCH)
        swept += await self._store.sweep_logins(now, now - REVOKED_FOR, BATCH)
        swept += await self._store.sweep_ended_tokens(now - REVOKED_FOR, BATCH)
        return swept + await self._store.sweep_tallies(now - TALLIES_FOR, now - GUESSES_FOR, BATCH)
