"""Saves the words of messages that may have some already."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from persistence_worker.storage.bulk import Rows
from persistence_worker.storage.mappers import WORDS_COLUMNS
from persistence_worker.storage.tables import message_words


class SaveWords:
    """Inserts or replaces rows of `WORDS_COLUMNS`. A row that would not change is not written."""

    def __init__(self, dialect: str) -> None:
        insert: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(message_words)
        self._statement = insert.on_conflict_do_update(
            index_elements=["session_id", "seq"],
            set_={"words": insert.excluded.words},
            where=message_words.c.words != insert.excluded.words,
        )

    def __call__(self, connection: Connection, rows: Rows) -> None:
        """Save rows."""
        if rows:
            connection.execute(self._statement, [dict(zip(WORDS_COLUMNS, row, strict=True)) for row in rows])
