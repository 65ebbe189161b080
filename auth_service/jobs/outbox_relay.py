"""The outbox: events that were decided in a transaction are published afterwards, at least once.

An event is a row, written together with what it tells of, and removed when the bus holds it. A crash or an absent
broker in between publishes it later, under the same id, by which receivers tell a repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from shared.bus.port import Bus
from shared.contracts.accounts import UserDeleted
from shared.contracts.envelope import Event
from shared.contracts.payload import utc_now
from shared.contracts.topology import ACCOUNTS, USER_DELETED_KEY
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

KEYS = {UserDeleted.TYPE: USER_DELETED_KEY}
BATCH = 100  # events published in one round
INTERVAL = 1.0  # seconds between two looks; another replica may have left events behind
PAUSE = 2.0  # seconds after a failure


class Store(Protocol):
    """Where events wait. Each call is one transaction and may raise `Unavailable`."""

    async def pending(self, most: int) -> list[Event]:
        """The oldest events."""

    async def remove(self, ids: Sequence[str]) -> None:
        """These are published."""


class Outbox:
    """Publishes what waits, in the order in which it was decided as far as clocks agree."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._news = asyncio.Event()
        self._failing = False

    def hurry(self) -> None:
        """Something was added just now."""
        self._news.set()

    async def run(self) -> None:
        """Publish for ever."""
        await self._bus.declare(exchanges=[ACCOUNTS])
        while True:
            self._news.clear()
            try:
                more = await self.publish_pending()
            except Unavailable:
                if not self._failing:
                    logger.warning("events of the outbox wait")
                self._failing = True
                await asyncio.sleep(PAUSE)
                continue
            self._failing = False
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), INTERVAL)

    async def publish_pending(self) -> bool:
        """Publish one round; whether there may be more.

        Raises:
            Unavailable: not all are known to be published; they stay.
        """
        events = await self._store.pending(BATCH)
        if not events:
            return False
        await self._bus.publish_all([(ACCOUNTS, KEYS[event.type], event) for event in events])
        await self._store.remove([event.id for event in events])
        logger.info("account events published", events=len(events), oldest=_age(events[0]))
        return len(events) == BATCH


def _age(event: Event) -> float:
    """Seconds since it was decided."""
    return round((utc_now() - event.time).total_seconds(), 1)
