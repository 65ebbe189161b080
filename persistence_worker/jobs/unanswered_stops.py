"""Ends turns whose stop no chatbot worker has answered: as stopped, without text."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from persistence_worker.domain import publications
from persistence_worker.domain.state import Turn
from persistence_worker.jobs.periodic import run_periodically
from persistence_worker.metrics import Metrics
from persistence_worker.storage.database import Database
from persistence_worker.storage.mappers import TURN_COLUMNS, turn_of
from persistence_worker.storage.tables import turns
from shared.bus.port import Bus
from shared.contracts.commands import FinishReply
from shared.contracts.payload import utc_now

INTERVAL = 1.0  # seconds between runs
CLAIM = timedelta(seconds=30)  # after which the end of a turn that is still open is published again
BATCH = 100  # turns of one transaction

_DUE = (turns.c.closed_at.is_(None), turns.c.stop_at <= bindparam("now"))
ANY = select(turns.c.id).where(*_DUE).limit(1)
DUE = select(*(turns.c[name] for name in TURN_COLUMNS)).where(*_DUE).limit(BATCH).with_for_update(skip_locked=True)
POSTPONE = update(turns).where(turns.c.id == bindparam("turn")).values(stop_at=bindparam("at"))


class UnansweredStops:
    """A periodic job of every worker. Stops are stored with their turns, so that they survive every crash."""

    def __init__(self, *, bus: Bus, database: Database, metrics: Metrics, partitions: int) -> None:
        self._bus = bus
        self._database = database
        self._metrics = metrics
        self._partitions = partitions

    async def run(self) -> None:
        """Run the job periodically until cancelled."""
        await run_periodically(self._run_once, paused_event="stops.paused", interval=INTERVAL, database=self._database)

    async def _run_once(self) -> None:
        while await self.publish() == BATCH:
            pass

    async def publish(self) -> int:
        """Send the commands that end at most `BATCH` due turns; return their number."""
        now = utc_now()
        if await self._database.read(lambda connection: connection.scalar(ANY, {"now": now})) is None:
            return 0
        due = await self._database.write(lambda connection: claim(connection, now))
        ends = [FinishReply.empty(turn.session_id, turn.id, turn.chatbot_id, status="stopped") for turn in due]
        await self._bus.publish_all([publications.of_command(end, self._partitions) for end in ends])
        self._metrics.stops_unanswered.inc(len(due))
        return len(due)


def claim(connection: Connection, now: datetime) -> list[Turn]:
    """Return turns that are due, and postpone them: they are due again if their end is not stored by then."""
    due = [turn_of(row) for row in connection.execute(DUE, {"now": now})]
    if due:
        connection.execute(POSTPONE, [{"turn": turn.id, "at": now + CLAIM} for turn in due])
    return due
