"""What has had its time: the rows of deleted sessions, commands applied long ago, invites that have expired."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Table, bindparam, delete, select, tuple_, update

from persistence_worker.storage.command_store import WORDY
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from persistence_worker.storage.tables import (
    applied_commands,
    chat_messages,
    chat_sessions,
    former_users,
    message_ratings,
    session_chatbots,
    session_invites,
    session_summaries,
    session_users,
    turns,
)
from shared.contracts.payload import utc_now

logger = structlog.get_logger(__name__)

INTERVAL = 10.0  # seconds between looks
PURGE_AFTER = timedelta(seconds=60)  # of a deletion, whose repeat after a crash still finds whom to tell
COMMANDS_KEPT = timedelta(days=1)  # each has a deadline seconds after it was sent
INVITES_KEPT = timedelta(days=1)  # beyond their end
CHUNK = 1_000  # rows of one transaction
PAUSE = 0.02  # seconds between two of them

DELETED = (
    select(chat_sessions.c.id)
    .where(chat_sessions.c.deleted_at < bindparam("before"), chat_sessions.c.purged_at.is_(None))
    .order_by(chat_sessions.c.deleted_at)
    .limit(1)
)
PURGED = update(chat_sessions).where(chat_sessions.c.id == bindparam("session")).values(purged_at=bindparam("now"))
OF_A_SESSION: tuple[Table, ...] = (  # who refers to another first
    message_ratings,
    chat_messages,
    turns,
    session_invites,
    session_chatbots,
    session_summaries,
    former_users,
    session_users,
)


class Sweep:
    """The periodic job of every worker; row locks keep two of them off the same session."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await self._database.ready()
            try:
                await self.tidy()
            except Exception as error:
                if is_permanent(error):
                    raise
                logger.warning("sweeping waits", reason=type(error).__name__)
            await asyncio.sleep(INTERVAL)

    async def tidy(self) -> None:
        """Do all that there is to do, chunk by chunk; whoever stores messages goes first."""
        for chunk in (purge, forget_commands, forget_invites):
            more = True
            while more:
                more = await self._database.write(partial(chunk, now=utc_now()))
                await asyncio.sleep(PAUSE if more else 0)


def purge(connection: Connection, now: datetime) -> bool:
    """Remove some rows of a deleted session; says whether there may be more to do."""
    session_id = connection.scalar(DELETED.with_for_update(skip_locked=True), {"before": now - PURGE_AFTER})
    if session_id is None:
        return False
    if any(_chunk(connection, table, table.c.session_id == session_id) for table in OF_A_SESSION):
        return True
    if _redact(connection, session_id):
        return True
    connection.execute(PURGED, {"session": session_id, "now": now})
    return True


def forget_commands(connection: Connection, now: datetime) -> bool:
    """Remove some of the commands that were applied long ago; says whether there may be more."""
    return _chunk(connection, applied_commands, applied_commands.c.applied_at < now - COMMANDS_KEPT) == CHUNK


def forget_invites(connection: Connection, now: datetime) -> bool:
    """Remove some of the invites that nobody can use any more; says whether there may be more."""
    return _chunk(connection, session_invites, session_invites.c.expires_at < now - INVITES_KEPT) == CHUNK


def _chunk(connection: Connection, table: Table, condition: Any) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(condition).limit(CHUNK).with_for_update(skip_locked=True)
    return connection.execute(delete(table).where(key.in_(some))).rowcount


def _redact(connection: Connection, session_id: UUID) -> int:
    some = select(applied_commands.c.id).where(applied_commands.c.session_id == session_id, WORDY).limit(CHUNK)
    return connection.execute(
        update(applied_commands).where(applied_commands.c.id.in_(some)).values(result=None)
    ).rowcount
