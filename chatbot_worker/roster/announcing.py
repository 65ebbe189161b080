"""Tells persistence which chatbots there are: at the start, on change, every minute, and when the bus is back."""

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

EVERY = 60.0  # seconds
WATCH = 0.5  # seconds between two looks at the connection
PAUSE_MIN, PAUSE_MAX = 0.1, 2.0  # seconds until the next try while persistence has no queue yet


class Announcer:
    """Tells, again and again, the newest of what it was given."""

    def __init__(self, bus: Bus, announcement: ChatbotsAnnounced) -> None:
        self._bus = bus
        self._announcement = announcement
        self._changed = asyncio.Event()

    def change(self, announcement: ChatbotsAnnounced) -> None:
        """Tell this one from now on, and at once."""
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
                logger.debug("chatbots announced")
                return

    async def _until_due(self) -> None:
        """A minute, or less if something changed, or the connection was lost and is back."""
        due = asyncio.get_running_loop().time() + EVERY
        lost = False
        while not self._changed.is_set() and asyncio.get_running_loop().time() < due:
            await asyncio.sleep(WATCH)
            if not self._bus.connected:
                lost = True
            elif lost:
                return
