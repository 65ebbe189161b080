"""Replies whose stop no worker has answered: they are ended from here, as stopped and empty."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, bindparam, select, update

from persistence_worker.domain import publications
from persistence_worker.domain.state import Turn
from persistence_worker.metrics import Metrics
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from persistence_worker.storage.mappers import TURN_COLUMNS, turn_of
from persistence_worker.storage.tables import turns
from shared.bus.port import Bus
from shared.contracts.commands import FinishReply
from shared.contracts.payload import utc_now

logger = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between looks
CLAIM = timedelta(seconds=30)  # after which the end of a turn that is still open is published again
BATCH = 100  # turns of one transaction

_DUE = (turns.c.closed_at.is_(None), turns.c.stop_at <= bindparam("now"))
ANY = select(turns.c.id).where(*_DUE).limit(1)
DUE = select(*(turns.c[name] for name in TURN_COLUMNS)).where(*_DUE).limit(BATCH).with_for_update(skip_locked=True)
CLAIMED = update(turns).where(turns.c.id == bindparam("turn")).values(stop_at=bindparam("at"))


class Stops:
    """The periodic job of every worker. What it finds outlives any process: it stands on the turn."""

    def __init__(self, *, bus: Bus, database: Database, metrics: Metrics, partitions: int) -> None:
        self._bus = bus
        self._database = database
        self._metrics = metrics
        self._partitions = partitions

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await self._database.ready()
            try:
                while await self.publish() == BATCH:
                    pass
            except Exception as error:
                if is_permanent(error):
                    raise
                logger.warning("stops wait", reason=type(error).__name__)
            await asyncio.sleep(INTERVAL)

    async def publish(self) -> int:
        """Put the ends of the turns that are due into the log; says how many."""
        now = utc_now()
        if await self._database.read(lambda connection: connection.scalar(ANY, {"now": now})) is None:
            return 0
        due = await self._database.write(lambda connection: claim(connection, now))
        ends = [FinishReply.empty(turn.session_id, turn.id, turn.chatbot_id, status="stopped") for turn in due]
        await self._bus.publish_all([publications.commanded(end, self._partitions) for end in ends])
        self._metrics.cut.inc(len(due))
        return len(due)


def claim(connection: Connection, now: datetime) -> list[Turn]:
    """Turns that are due, put off for a while: what fails in between is due again."""
    due = [turn_of(row) for row in connection.execute(DUE, {"now": now})]
    if due:
        connection.execute(CLAIMED, [{"turn": turn.id, "at": now + CLAIM} for turn in due])
    return due
