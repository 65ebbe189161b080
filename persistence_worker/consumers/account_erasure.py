"""The consumer of account events: what a deleted account wrote is erased, session by session, through the log."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql, sqlite

from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.consumers.consuming import consume
from persistence_worker.domain import publications
from persistence_worker.metrics import Metrics
from persistence_worker.storage.command_store import ERASURE_LOCK
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from persistence_worker.storage.history import SESSIONS
from persistence_worker.storage.tables import erased_users
from shared.bus.port import Bus, Delivery
from shared.contracts.accounts import UserDeleted
from shared.contracts.commands import EraseAuthor
from shared.contracts.envelope import read_body
from shared.contracts.payload import utc_now
from shared.contracts.topology import accounts_queue

logger = structlog.get_logger(__name__)

PAGE = 500  # sessions

EXCLUSIVE_LOCK = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=ERASURE_LOCK)
FIRST = UUID(int=0)


class Accounts:
    """Writes no session itself: it keeps the id and asks for the rest."""

    def __init__(
        self, *, bus: Bus, database: Database, dead_letters: DeadLetterPublisher, metrics: Metrics, partitions: int
    ) -> None:
        self._bus = bus
        self._database = database
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._partitions = partitions

    async def run(self) -> None:
        """Consume until cancelled."""
        await consume(accounts_queue(), self._take, bus=self._bus, database=self._database)

    async def _take(self, delivery: Delivery) -> None:
        try:
            for received in read_body(delivery.body):
                if received.type == UserDeleted.TYPE:
                    await self._erase(received.parse(UserDeleted).user_id)
        except Exception as error:
            if not is_permanent(error):
                raise
            await self._dead_letters.publish(accounts_queue(), delivery, None, error)

    async def _erase(self, user_id: str) -> None:
        await self._database.write(partial(keep, user_id=user_id))
        await self._database.write(wait_for_entries)
        first = FIRST
        sessions = 0
        while page := await self._database.read(partial(sessions_of, user_id=user_id, first=first)):
            commands = [EraseAuthor(session_id=session_id, user_id=user_id) for session_id in page]
            await self._bus.publish_all([publications.commanded(command, self._partitions) for command in commands])
            first = UUID(int=page[-1].int + 1)
            sessions += len(page)
        self._metrics.erased.inc()
        logger.info("account taken up for erasure", sessions=sessions)


def keep(connection: Connection, user_id: str) -> None:
    """From here on the user enters no session any more."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(erased_users).values(user_id=user_id, erased_at=utc_now())
    connection.execute(statement.on_conflict_do_nothing())


def wait_for_entries(connection: Connection) -> None:
    """Wait for the transactions that let users in and did not know yet; SQLite has one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(EXCLUSIVE_LOCK)


def sessions_of(connection: Connection, user_id: str, first: UUID) -> list[UUID]:
    """The sessions from `first` on in which the user is, or was; ascending by id."""
    values = {"user": user_id, "from": first, "most": PAGE}
    return list(connection.scalars(SESSIONS, values))
