"""Announces the catalogue to persistence: at the start, on every change, once a minute, and after a reconnect."""

from __future__ import annotations

import asyncio

import structlog

from chatbot_worker.replies.reply_stream import SOURCE
from shared.backoff import Backoff
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.events import ChatbotsAnnounced
from shared.contracts.topology import CATALOGUE, CATALOGUE_KEY
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

ANNOUNCE_INTERVAL = 60.0  # seconds
WATCH_INTERVAL = 0.5  # seconds between two checks of the connection
PAUSE_MIN, PAUSE_MAX = 0.1, 2.0  # seconds between two attempts while persistence has declared no queue yet


class Announcer:
    """Publishes the latest announcement again and again."""

    def __init__(self, bus: Bus, announcement: ChatbotsAnnounced) -> None:
        self._bus = bus
        self._announcement = announcement
        self._changed = asyncio.Event()

    def change(self, announcement: ChatbotsAnnounced) -> None:
        """Replace the announcement, and publish the new one at once."""
        self._announcement = announcement
        self._changed.set()

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            self._changed.clear()
            await self._announce(Event(SOURCE, self._announcement))
            await self._until_due()

    async def _announce(self, event: Event) -> None:
        backoff = Backoff(PAUSE_MIN, PAUSE_MAX)
        while not self._changed.is_set():
            try:
                await self._bus.publish(CATALOGUE, CATALOGUE_KEY, event)
            except Unavailable:
                await asyncio.sleep(backoff.next())
            else:
                logger.debug("catalogue.announced")
                return

    async def _until_due(self) -> None:
        """Wait for `ANNOUNCE_INTERVAL`, or until the announcement changes or a lost connection is back."""
        due = asyncio.get_running_loop().time() + ANNOUNCE_INTERVAL
        lost = False
        while not self._changed.is_set() and asyncio.get_running_loop().time() < due:
            await asyncio.sleep(WATCH_INTERVAL)
            if not self._bus.connected:
                lost = True
            elif lost:
                return
