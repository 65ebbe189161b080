"""Inserts messages with the words by which they are searched, and saves the words of changed messages."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from persistence_worker.storage.bulk import BulkInsert, Rows
from persistence_worker.storage.dialect_sql import upsert
from persistence_worker.storage.mappers import MESSAGE_COLUMNS, WORDS_COLUMNS, message_row, words_row
from persistence_worker.storage.tables import chat_messages, message_words
from shared.contracts.views import Message


class InsertMessages:
    """Inserts messages and their words: on PostgreSQL in one statement, which saves a round trip for each batch."""

    def __init__(self, dialect: str) -> None:
        self._messages = BulkInsert(chat_messages, MESSAGE_COLUMNS, dialect)
        self._words = BulkInsert(message_words, WORDS_COLUMNS, dialect)
        self._together = self._words.after(self._messages) if dialect == "postgresql" else None

    def __call__(self, connection: Connection, messages: Sequence[Message]) -> None:
        """Insert messages.

        Raises:
            IntegrityError: a message exists already; nothing is inserted.
        """
        rows = [message_row(message) for message in messages]
        words = [words_row(message) for message in messages if message.content]
        if self._together is not None and words:
            connection.execute(self._together, self._messages.parameters(rows) | self._words.parameters(words))
            return
        self._messages(connection, rows)
        self._words(connection, words)


class SaveWords:
    """Inserts or replaces rows of `WORDS_COLUMNS`. A row that would not change is not written."""

    def __init__(self, dialect: str) -> None:
        insert = upsert(message_words, dialect)
        self._statement = insert.on_conflict_do_update(
            index_elements=["session_id", "seq"],
            set_={"words": insert.excluded.words},
            where=message_words.c.words != insert.excluded.words,
        )

    def __call__(self, connection: Connection, rows: Rows) -> None:
        """Save rows."""
        if rows:
            connection.execute(self._statement, [dict(zip(WORDS_COLUMNS, row, strict=True)) for row in rows])
