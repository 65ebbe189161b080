"""Tells persistence which chatbots there are: at the start, every minute, and when the bus is back."""

from __future__ import annotations

import asyncio

import structlog

from chatbot_worker.catalogue import Catalogue
from chatbot_worker.live import SOURCE
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.topology import CATALOGUE, CATALOGUE_KEY
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

EVERY = 60.0  # seconds
WATCH = 0.5  # seconds between two looks at the connection
PAUSE_MIN, PAUSE_MAX = 0.1, 2.0  # seconds until the next try while persistence has no queue yet


async def announce_for_ever(bus: Bus, catalogue: Catalogue) -> None:
    """Announce, again after each reconnect, until cancelled."""
    announcement = catalogue.announcement()
    while True:
        await _announce(bus, Event(SOURCE, announcement))
        await _until_due(bus)


async def _announce(bus: Bus, event: Event) -> None:
    pause = PAUSE_MIN
    while True:
        try:
            await bus.publish(CATALOGUE, CATALOGUE_KEY, event)
        except Unavailable:
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_MAX)
        else:
            logger.debug("chatbots announced")
            return


async def _until_due(bus: Bus) -> None:
    """A minute, or less if the connection was lost and is back."""
    due = asyncio.get_running_loop().time() + EVERY
    lost = False
    while asyncio.get_running_loop().time() < due:
        await asyncio.sleep(WATCH)
        if not bus.connected:
            lost = True
        elif lost:
            return
