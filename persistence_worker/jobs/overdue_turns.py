"""No session goes silent: turns that have been open for long are published again, marked."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from persistence_worker.commands.transaction import Ledger
from persistence_worker.consumers.catalogue_announcements import Announcements
from persistence_worker.domain import publications
from persistence_worker.domain.context import Contexts
from persistence_worker.domain.unit_of_work import Start
from persistence_worker.metrics import Metrics
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus
from shared.contracts.payload import utc_now

logger = structlog.get_logger(__name__)

INTERVAL = 10.0  # seconds between looks, at the catalogue too
CLAIM = 30.0  # seconds after which a turn whose publication is not known to be held is published again
BATCH = 100  # turns of one transaction


class Overdue:
    """The periodic job of every worker; row locks keep two of them off the same turn."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        ledger: Ledger,
        announcements: Announcements,
        metrics: Metrics,
        partitions: int,
        patience: float,
    ) -> None:
        self._bus = bus
        self._database = database
        self._ledger = ledger
        self._announcements = announcements
        self._metrics = metrics
        self._partitions = partitions
        self._patience = timedelta(seconds=patience)
        self._claim_lasts = timedelta(seconds=min(CLAIM, patience))

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await self._database.ready()
            try:
                await self._announcements.reload()
                self._metrics.turns_open.set(await self._database.read(self._ledger.reads.open_turns))
                while await self.publish() == BATCH:
                    pass
            except Exception as error:
                if is_permanent(error):
                    raise
                logger.warning("overdue turns wait", reason=type(error).__name__)
            await asyncio.sleep(min(INTERVAL, self._patience.total_seconds()))

    async def publish(self) -> int:
        """Publish a batch of overdue turns again; says how many.

        They are claimed for a short while, and are done with only when the bus holds them: what fails, or dies,
        in between is soon overdue again.
        """
        starts, contexts = await self._database.write(self._claim)
        turns = iter([start.turn for start in starts])
        for piece in publications.rounds(publications.of_turns(starts, contexts, self._partitions)):
            ends = await asyncio.gather(*(self._bus.publish(*each) for each in piece), return_exceptions=True)
            held = [turn.id for end, turn in zip(ends, turns, strict=False) if end is None]
            await self._database.write(partial(self._ledger.store.turns_published, turn_ids=held, now=utc_now()))
            if refused := [end for end in ends if end is not None]:
                raise refused[0]
        if starts:
            self._metrics.repeated.inc(len(starts))
            logger.warning("turns published again", turns=len(starts))
        return len(starts)

    def _claim(self, connection: Connection) -> tuple[list[Start], Contexts]:
        now = utc_now()
        turns = self._ledger.store.overdue(connection, now - self._patience, BATCH)
        starts = [Start(turn, starts=turn.starts, again=True) for turn in turns]
        for turn in turns:
            turn.starts += 1
            turn.published_at = now - self._patience + self._claim_lasts
        self._ledger.store.save_turns(connection, turns)
        return starts, self._ledger.contexts(connection, starts)
