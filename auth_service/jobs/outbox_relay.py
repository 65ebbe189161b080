"""The outbox relay publishes the events in the outbox table, at least once.

A use case inserts an event in the transaction of the change that the event describes. The relay publishes it, and
deletes the row after the bus has confirmed. After a crash or an outage of the broker the event is published later,
under the same id, by which consumers recognise duplicates.
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
from shared.contracts.payload import parse_rfc3339, utc_now
from shared.contracts.topology import ACCOUNTS, USER_DELETED_KEY
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

KEYS = {UserDeleted.TYPE: USER_DELETED_KEY}
BATCH = 100  # events published in one round
INTERVAL = 1.0  # seconds between two reads of the table, for events that another replica left
PAUSE = 2.0  # seconds after a failure


class Store(Protocol):
    """The outbox table. Each call is one transaction and may raise `Unavailable`."""

    async def pending(self, limit: int) -> list[Event]:
        """Return the oldest events, at most `limit`."""

    async def remove(self, ids: Sequence[str]) -> None:
        """Delete published events."""


class OutboxRelay:
    """Publishes pending events in the order of their time, as far as the clocks of replicas agree."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._news = asyncio.Event()
        self._failing = False

    def wake(self) -> None:
        """Publish immediately, because an event was added."""
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        await self._bus.declare(exchanges=[ACCOUNTS])
        while True:
            self._news.clear()
            try:
                more = await self.publish_pending()
            except Unavailable:
                if not self._failing:
                    logger.warning("outbox.paused")
                self._failing = True
                await asyncio.sleep(PAUSE)
                continue
            self._failing = False
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), INTERVAL)

    async def publish_pending(self) -> bool:
        """Publish one batch and return whether there may be more events.

        Raises:
            Unavailable: some events are not confirmed; they stay in the table.
        """
        events = await self._store.pending(BATCH)
        if not events:
            return False
        await self._bus.publish_all([(ACCOUNTS, KEYS[event.type], event) for event in events])
        await self._store.remove([event.id for event in events])
        logger.info("account_events.published", events=len(events), oldest=_age(events[0]))
        return len(events) == BATCH


def _age(event: Event) -> float:
    """Return the seconds since the event happened."""
    return round((utc_now() - parse_rfc3339(event.time)).total_seconds(), 1)
