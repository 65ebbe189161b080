"""The consumer of `chat.catalogue`, and the queues that each announced chatbot needs."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog

from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.consumers.consuming import consume
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.storage.catalogue_store import load_catalogue, save_catalogue
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus, Delivery
from shared.contracts.envelope import read_body
from shared.contracts.events import ChatbotsAnnounced
from shared.contracts.topology import catalogue_queue, dead_queue, turn_queue

logger = structlog.get_logger(__name__)


class Announcements:
    """Keeps the catalogue in the database, in memory and, as queues, on the bus."""

    def __init__(
        self, *, bus: Bus, database: Database, catalogue: Catalogue, dead_letters: DeadLetterPublisher
    ) -> None:
        self._bus = bus
        self._database = database
        self._catalogue = catalogue
        self._dead_letters = dead_letters
        self._declared: set[str] = set()
        self._passed_over: datetime | None = None

    async def reload(self) -> None:
        """Read what any worker has stored."""
        self._catalogue.replace(await self._database.read(load_catalogue))
        await self._declare()

    async def run(self) -> None:
        """Consume until cancelled."""
        await consume(catalogue_queue(), self._take, bus=self._bus, database=self._database, first=self.reload)

    async def _take(self, delivery: Delivery) -> None:
        try:
            for received in read_body(delivery.body):
                catalogue = received.parse(ChatbotsAnnounced)
                if await self._database.write(partial(save_catalogue, announced=catalogue)):
                    logger.info("catalogue taken", chatbots=len(catalogue.chatbots))
                elif catalogue.chatbots != self._catalogue.cards:
                    self._say_passed_over(catalogue)
        except Exception as error:
            if not is_permanent(error):
                raise
            await self._dead_letters.publish(catalogue_queue(), delivery, None, error)
        await self.reload()

    def _say_passed_over(self, catalogue: ChatbotsAnnounced) -> None:
        """Once, not each minute: an operator who goes back to an older file would look for the reason."""
        if catalogue.modified_at != self._passed_over:
            self._passed_over = catalogue.modified_at
            modified_at = catalogue.modified_at.isoformat()
            logger.warning("catalogue passed over: a newer one was announced before", modified_at=modified_at)

    async def _declare(self) -> None:
        new = [card.id for card in self._catalogue.cards if card.id not in self._declared]
        if new:
            queues = [turn_queue(chatbot) for chatbot in new]
            await self._bus.declare(queues=[*queues, *map(dead_queue, queues)])
            self._declared.update(new)
