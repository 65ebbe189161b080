"""What auth still lacks: "database" while it does not answer, "migrations" until its tables are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from auth_service.deadlines import deadline
from auth_service.storage.transactions import AWAY
from shared.errors import Unavailable

INTERVAL = 1.0  # seconds between two looks


class Probed(Protocol):
    """A store that can be asked whether it answers."""

    async def probe(self) -> None:
        """Raises `Unavailable` where it does not."""


class Readiness:
    """Looks every second and remembers; being asked costs nothing."""

    def __init__(self, store: Probed, is_migrated: Callable[[], Awaitable[bool]]) -> None:
        """`is_migrated` is asked until it says yes: no release takes tables away from a running one."""
        self._store = store
        self._is_migrated = is_migrated
        self._migrated = False
        self._missing: tuple[str, ...] = ("database",)

    def missing(self) -> Sequence[str]:
        """As of the last look."""
        return self._missing

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            self._missing = await self._look()
            await asyncio.sleep(INTERVAL)

    async def _look(self) -> tuple[str, ...]:
        try:
            async with deadline():
                await self._store.probe()
                self._migrated = self._migrated or await self._is_migrated()
        except (Unavailable, SQLAlchemyError, *AWAY):
            return ("database",)
        return () if self._migrated else ("migrations",)
