"""Fills the table of words after the migration that created it, while messages are sent and searched.

Two passes over all messages: workers of the release before may still store, edit and erase messages without their
words during the first one. The row `word_index` of `settings` has the progress, and is deleted at the end; without it
there is nothing to do. Its lock lets one worker at a time process a chunk.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, delete, select, tuple_, update

from persistence_worker.domain.search_words import search_words
from persistence_worker.jobs.periodic import run_periodically
from persistence_worker.storage.database import Database
from persistence_worker.storage.message_words import SaveWords
from persistence_worker.storage.tables import chat_messages, chat_sessions, message_words, settings

logger = structlog.get_logger(__name__)

NAME = "word_index"
INTERVAL = 30.0  # seconds between two looks for something to do
CHUNK = 200  # messages of one transaction
PAUSE = 0.02  # seconds between two transactions
PASSES = 2
BETWEEN_PASSES = 900.0  # seconds; workers of the release before must have ended by then

START = (UUID(int=0), 0)
PROGRESS = select(settings.c.value).where(settings.c.name == NAME).with_for_update(skip_locked=True)
# Workers of the release before purge sessions without the words.
DELETE_PURGED = delete(message_words).where(
    message_words.c.session_id.in_(select(chat_sessions.c.id).where(chat_sessions.c.purged_at.is_not(None)))
)


class WordIndex:
    """A job of every worker."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._save = SaveWords(database.dialect)

    async def run(self) -> None:
        """Run the job until all words are stored."""
        await run_periodically(self.fill, paused_event="word_index.paused", interval=INTERVAL, database=self._database)

    async def fill(self) -> None:
        """Store the words of messages in chunks, with pauses in which other transactions can run."""
        more = True
        while more:
            more = await self._database.write(self._fill_chunk)
            await asyncio.sleep(PAUSE)

    def _fill_chunk(self, connection: Connection) -> bool:
        """Process some messages; return whether more can be processed now."""
        value = connection.scalar(PROGRESS)
        if value is None:
            return False
        number, not_before, after = _progress(value)
        if time.time() < not_before:
            return False
        messages = chat_messages.c
        rows = connection.execute(
            select(messages.session_id, messages.seq, messages.content)
            .where(tuple_(messages.session_id, messages.seq) > after)
            .order_by(messages.session_id, messages.seq)
            .limit(CHUNK)
            # An edit at the same time must not be followed by the words of the old text.
            .with_for_update(skip_locked=True)
        ).all()
        self._save(connection, [(row.session_id, row.seq, search_words(row.content)) for row in rows])
        if rows:
            _store(connection, [number, 0, rows[-1].session_id.hex, rows[-1].seq])
        elif number < PASSES:
            _store(connection, [number + 1, time.time() + BETWEEN_PASSES, START[0].hex, START[1]])
            logger.info("word_index.filled", passes=number)
        else:
            connection.execute(DELETE_PURGED)
            connection.execute(delete(settings).where(settings.c.name == NAME))
            logger.info("word_index.completed")
        return bool(rows)


def _progress(value: str) -> tuple[int, float, tuple[UUID, int]]:
    if not value:
        return 1, 0.0, START
    number, not_before, session_id, seq = json.loads(value)
    return number, not_before, (UUID(session_id), seq)


def _store(connection: Connection, progress: list[Any]) -> None:
    connection.execute(update(settings).where(settings.c.name == NAME).values(value=json.dumps(progress)))
