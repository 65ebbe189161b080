"""The consumer of announced catalogues, which also declares the queues that each chatbot needs."""

from __future__ import annotations

from functools import partial

import structlog

from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.consumers.delivery_loop import consume
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.storage.catalogue_store import load_catalogue, save_catalogue
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus, Delivery
from shared.contracts.envelope import read_body
from shared.contracts.events import ChatbotsAnnounced
from shared.contracts.topology import catalogue_queue, dead_queue, turn_queue

logger = structlog.get_logger(__name__)


class CatalogueUpdates:
    """Stores announced catalogues, and keeps the catalogue in memory current."""

    def __init__(
        self, *, bus: Bus, database: Database, catalogue: Catalogue, dead_letters: DeadLetterPublisher
    ) -> None:
        self._bus = bus
        self._database = database
        self._catalogue = catalogue
        self._dead_letters = dead_letters
        self._declared: set[str] = set()
        self._ignored: str | None = None

    async def reload(self) -> None:
        """Load the catalogue that this or another worker has stored, and declare the queues of new chatbots."""
        self._catalogue.replace(await self._database.read(load_catalogue))
        await self._declare()

    async def run(self) -> None:
        """Consume until cancelled."""
        await consume(
            catalogue_queue(), self._process, bus=self._bus, database=self._database, on_subscribe=self.reload
        )

    async def _process(self, delivery: Delivery) -> None:
        try:
            for envelope in read_body(delivery.body):
                announced = envelope.parse(ChatbotsAnnounced)
                if await self._database.write(partial(save_catalogue, announced=announced)):
                    logger.info("catalogue.stored", chatbots=len(announced.chatbots))
                elif announced.chatbots != self._catalogue.cards:
                    self._log_ignored(announced)
        except Exception as error:
            if not is_permanent(error):
                raise
            await self._dead_letters.publish(catalogue_queue(), delivery, None, error)
        await self.reload()

    def _log_ignored(self, announced: ChatbotsAnnounced) -> None:
        """Warn once for each date, because the chatbot workers announce their catalogue every minute."""
        if announced.modified_at != self._ignored:
            self._ignored = announced.modified_at
            logger.warning("catalogue.ignored", reason="a newer one is stored", modified_at=self._ignored)

    async def _declare(self) -> None:
        new = [card.id for card in self._catalogue.cards if card.id not in self._declared]
        if new:
            queues = [turn_queue(chatbot) for chatbot in new]
            await self._bus.declare(queues=[*queues, *map(dead_queue, queues)])
            self._declared.update(new)
