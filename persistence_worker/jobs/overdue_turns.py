"""Republishes turns that have been open for a long time, so that no session waits without limit for a reply."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from persistence_worker.commands.context_builder import ContextBuilder
from persistence_worker.consumers.catalogue_updates import CatalogueUpdates
from persistence_worker.domain import publications
from persistence_worker.domain.context import Contexts
from persistence_worker.domain.unit_of_work import TurnStart
from persistence_worker.jobs.periodic import run_periodically
from persistence_worker.metrics import Metrics
from persistence_worker.storage.database import Database
from persistence_worker.storage.session_reader import SessionReader
from persistence_worker.storage.session_store import SessionStore
from shared.bus.port import Bus
from shared.contracts.payload import utc_now

logger = structlog.get_logger(__name__)

INTERVAL = 10.0  # seconds between runs, which also reload the catalogue
CLAIM = 30.0  # seconds after which a turn is overdue again if its publication was not confirmed
BATCH = 100  # turns of one transaction


class OverdueTurns:
    """A periodic job of every worker. Row locks prevent two workers from processing the same turn."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        store: SessionStore,
        reader: SessionReader,
        contexts: ContextBuilder,
        catalogue: CatalogueUpdates,
        metrics: Metrics,
        partitions: int,
        patience: float,
    ) -> None:
        self._bus = bus
        self._database = database
        self._store = store
        self._reader = reader
        self._contexts = contexts
        self._catalogue = catalogue
        self._metrics = metrics
        self._partitions = partitions
        self._patience = timedelta(seconds=patience)
        self._claim = timedelta(seconds=min(CLAIM, patience))

    async def run(self) -> None:
        """Run the job periodically until cancelled."""
        interval = min(INTERVAL, self._patience.total_seconds())
        await run_periodically(
            self._run_once, paused_event="overdue_turns.paused", interval=interval, database=self._database
        )

    async def _run_once(self) -> None:
        await self._catalogue.reload()
        self._metrics.turns_open.set(await self._database.read(self._reader.count_open_turns))
        while await self.publish() == BATCH:
            pass

    async def publish(self) -> int:
        """Republish at most `BATCH` overdue turns; return their number.

        The turns are claimed for a short time. Only after the bus has confirmed a turn, it is not overdue for the whole
        patience: a turn whose publication failed, or was lost in a crash, is overdue again when its claim ends.

        Raises:
            Unavailable: the bus did not confirm a turn.
        """
        starts, contexts = await self._database.write(self._claim_turns)
        turns = iter([start.turn for start in starts])
        for chunk in publications.chunks(publications.of_turns(starts, contexts, self._partitions)):
            outcomes = await asyncio.gather(*(self._bus.publish(*each) for each in chunk), return_exceptions=True)
            confirmed = [turn.id for outcome, turn in zip(outcomes, turns, strict=False) if outcome is None]
            await self._database.write(partial(self._store.set_published, turn_ids=confirmed, now=utc_now()))
            if failures := [outcome for outcome in outcomes if outcome is not None]:
                raise failures[0]
        if starts:
            self._metrics.turns_republished.inc(len(starts))
            logger.warning("overdue_turns.republished", turns=len(starts))
        return len(starts)

    def _claim_turns(self, connection: Connection) -> tuple[list[TurnStart], Contexts]:
        now = utc_now()
        turns = self._store.lock_overdue_turns(connection, now - self._patience, BATCH)
        starts = [TurnStart(turn, starts=turn.starts, republished=True) for turn in turns]
        for turn in turns:
            turn.starts += 1
            turn.published_at = now - self._patience + self._claim
        self._store.save_turns(connection, turns)
        return starts, self._contexts.build(connection, starts)
