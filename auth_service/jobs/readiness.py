"""The readiness probe of the database: reachable, and migrated to the schema of this release."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from auth_service.deadlines import deadline
from auth_service.storage.transactions import UNAVAILABLE_ERRORS
from shared.errors import Unavailable

INTERVAL = 1.0  # seconds between two probes


class Probed(Protocol):
    """The transactions of the database."""

    async def probe(self) -> None:
        """Check that the database takes writes; raises `Unavailable` if not."""


class Readiness:
    """Probes the database every second and keeps the result, so that `missing` costs nothing."""

    def __init__(self, database: Probed, is_migrated: Callable[[], Awaitable[bool]]) -> None:
        """Call `is_migrated` until it returns true: no later release removes tables that this one uses."""
        self._database = database
        self._is_migrated = is_migrated
        self._migrated = False
        self._missing: tuple[str, ...] = ("database",)

    def missing(self) -> Sequence[str]:
        """Return `database`, `migrations`, or nothing, as of the last probe."""
        return self._missing

    async def watch(self) -> None:
        """Probe until cancelled."""
        while True:
            self._missing = await self._probe()
            await asyncio.sleep(INTERVAL)

    async def _probe(self) -> tuple[str, ...]:
        try:
            async with deadline():
                await self._database.probe()
                self._migrated = self._migrated or await self._is_migrated()
        except (Unavailable, SQLAlchemyError, *UNAVAILABLE_ERRORS):
            return ("database",)
        return () if self._migrated else ("migrations",)
