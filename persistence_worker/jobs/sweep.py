"""Deletes expired rows: those of deleted sessions, old applied commands, and invites after their end."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, delete, select, tuple_, update

from persistence_worker.jobs.periodic import run_periodically
from persistence_worker.storage.command_store import WITH_SESSION
from persistence_worker.storage.database import Database
from persistence_worker.storage.tables import (
    applied_commands,
    chat_messages,
    chat_sessions,
    former_users,
    message_ratings,
    message_words,
    session_chatbots,
    session_invites,
    session_summaries,
    session_users,
    turns,
)
from shared.contracts.payload import utc_now

INTERVAL = 10.0  # seconds between runs
PURGE_AFTER = timedelta(seconds=60)  # of a deletion; until then a redelivered command finds the members to notify
COMMANDS_KEPT = timedelta(days=1)  # much longer than a command's deadline, which is seconds after it was sent
INVITES_KEPT = timedelta(days=1)  # after their expiry
CHUNK = 1_000  # rows of one transaction
PAUSE = 0.02  # seconds between two transactions

DELETED = (
    select(chat_sessions.c.id)
    .where(chat_sessions.c.deleted_at < bindparam("before"), chat_sessions.c.purged_at.is_(None))
    .order_by(chat_sessions.c.deleted_at)
    .limit(1)
)
SET_PURGED = update(chat_sessions).where(chat_sessions.c.id == bindparam("session")).values(purged_at=bindparam("now"))
TABLES_OF_SESSION: tuple[Table, ...] = (  # a table that refers to another one comes before it
    message_ratings,
    message_words,
    chat_messages,
    turns,
    session_invites,
    session_chatbots,
    session_summaries,
    former_users,
    session_users,
)


class Sweep:
    """A periodic job of every worker. Row locks prevent two workers from processing the same session."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run the job periodically until cancelled."""
        await run_periodically(self.sweep, paused_event="sweep.paused", interval=INTERVAL, database=self._database)

    async def sweep(self) -> None:
        """Delete all expired rows in chunks, with pauses in which other transactions can run."""
        for delete_chunk in (purge_session, delete_commands, delete_invites):
            more = True
            while more:
                more = await self._database.write(partial(delete_chunk, now=utc_now()))
                await asyncio.sleep(PAUSE if more else 0)


def purge_session(connection: Connection, now: datetime) -> bool:
    """Delete some rows of a deleted session; return whether there may be more."""
    session_id = connection.scalar(DELETED.with_for_update(skip_locked=True), {"before": now - PURGE_AFTER})
    if session_id is None:
        return False
    if any(_delete_chunk(connection, table, table.c.session_id == session_id) for table in TABLES_OF_SESSION):
        return True
    if _redact_chunk(connection, session_id):
        return True
    connection.execute(SET_PURGED, {"session": session_id, "now": now})
    return True


def delete_commands(connection: Connection, now: datetime) -> bool:
    """Delete some old applied commands; return whether there may be more."""
    return _delete_chunk(connection, applied_commands, applied_commands.c.applied_at < now - COMMANDS_KEPT) == CHUNK


def delete_invites(connection: Connection, now: datetime) -> bool:
    """Delete some expired invites; return whether there may be more."""
    return _delete_chunk(connection, session_invites, session_invites.c.expires_at < now - INVITES_KEPT) == CHUNK


def _delete_chunk(connection: Connection, table: Table, condition: Any) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(condition).limit(CHUNK).with_for_update(skip_locked=True)
    return connection.execute(delete(table).where(key.in_(some))).rowcount


def _redact_chunk(connection: Connection, session_id: UUID) -> int:
    """Redact some recorded answers that contain the session's title."""
    some = select(applied_commands.c.id).where(applied_commands.c.session_id == session_id, WITH_SESSION).limit(CHUNK)
    return connection.execute(
        update(applied_commands).where(applied_commands.c.id.in_(some)).values(result=None)
    ).rowcount
