"""The consumer of account events: erases what a deleted user wrote, session by session, through the log."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.consumers.delivery_loop import consume
from persistence_worker.domain import publications
from persistence_worker.metrics import Metrics
from persistence_worker.storage.command_store import ERASURE_LOCK
from persistence_worker.storage.database import Database
from persistence_worker.storage.dialect_sql import upsert
from persistence_worker.storage.errors import is_permanent
from persistence_worker.storage.history import ALL_SESSIONS_OF_USER
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


class AccountErasure:
    """Records the deleted user, and sends an `EraseAuthor` command to each session of theirs."""

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
        await consume(accounts_queue(), self._process, bus=self._bus, database=self._database)

    async def _process(self, delivery: Delivery) -> None:
        try:
            for envelope in read_body(delivery.body):
                if envelope.type == UserDeleted.TYPE:
                    await self._erase(envelope.parse(UserDeleted).user_id)
        except Exception as error:
            if not is_permanent(error):
                raise
            await self._dead_letters.publish(accounts_queue(), delivery, None, error)

    async def _erase(self, user_id: str) -> None:
        await self._database.write(partial(record_erasure, user_id=user_id))
        await self._database.write(wait_for_joins)
        first = FIRST
        sessions = 0
        while page := await self._database.read(partial(sessions_of, user_id=user_id, first=first)):
            commands = [EraseAuthor(session_id=session_id, user_id=user_id) for session_id in page]
            await self._bus.publish_all([publications.of_command(command, self._partitions) for command in commands])
            first = UUID(int=page[-1].int + 1)
            sessions += len(page)
        self._metrics.erasures.inc()
        logger.info("account_erasure.started", sessions=sessions)


def record_erasure(connection: Connection, user_id: str) -> None:
    """Record a deleted user, who from now on cannot enter a session."""
    statement = upsert(erased_users, connection.dialect.name).values(user_id=user_id, erased_at=utc_now())
    connection.execute(statement.on_conflict_do_nothing())


def wait_for_joins(connection: Connection) -> None:
    """Wait for transactions in which a user enters a session and that cannot see the record. SQLite has no such."""
    if connection.dialect.name == "postgresql":
        connection.execute(EXCLUSIVE_LOCK)


def sessions_of(connection: Connection, user_id: str, first: UUID) -> list[UUID]:
    """Return the sessions, from the id `first` on, of which the user is or was a member; ascending by id."""
    values = {"user": user_id, "from": first, "limit": PAGE}
    return list(connection.scalars(ALL_SESSIONS_OF_USER, values))
