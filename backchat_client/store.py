"""Keeps the outbox across restarts. A store is used by one client at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Protocol

from backchat_client.state.outbox import Outgoing

TABLE = """
CREATE TABLE IF NOT EXISTS outbox (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    client_message_id TEXT NOT NULL,
    content TEXT NOT NULL,
    reply_to TEXT,
    UNIQUE (session_id, client_message_id)
)"""
BUSY_TIMEOUT = 5.0  # seconds; the two connections below block each other for one write at most


class Store(Protocol):
    """Keeps messages until their outcome is known."""

    def load(self) -> list[Outgoing]:
        """Return the stored messages in the order added."""

    async def add(self, item: Outgoing) -> None:
        """Store a message durably. A message stored already stays unchanged. The client never cancels this call."""

    def remove(self, session_id: str, client_message_id: str) -> None:
        """Remove a message, if it is stored. Need not be durable: a message sent twice is stored once by the server."""

    def close(self) -> None:
        """Close the file."""


class MemoryStore:
    """A store that does not survive the process: for tests, and for programs that may lose unsent messages."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Outgoing] = {}

    def load(self) -> list[Outgoing]:
        """Return the stored messages in the order added."""
        return list(self._kept.values())

    async def add(self, item: Outgoing) -> None:
        """Store a message."""
        self._kept.setdefault((item.session_id, item.client_message_id), item)

    def remove(self, session_id: str, client_message_id: str) -> None:
        """Remove a message."""
        self._kept.pop((session_id, client_message_id), None)

    def close(self) -> None:
        """Do nothing."""


class SQLiteStore:
    """A store in a SQLite file. `add` syncs to disk in a thread; `remove` writes at once, without a sync."""

    def __init__(self, path: Path | str) -> None:
        """Open or create the file.

        Raises:
            sqlite3.Error: the file cannot be opened, or is not a database.
        """
        # Two connections, because `synchronous` is set per connection; in WAL mode FULL syncs each commit, NORMAL does
        # not.
        self._adding = self._connect(path, "FULL")
        self._removing = self._connect(path, "NORMAL")
        self._turn = asyncio.Lock()
        self._adding.execute(TABLE)

    @staticmethod
    def _connect(path: Path | str, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        return connection

    def load(self) -> list[Outgoing]:
        """Return the stored messages in the order added."""
        rows = self._removing.execute(
            "SELECT session_id, client_message_id, content, reply_to FROM outbox ORDER BY place"
        )
        return [Outgoing(*row) for row in rows]

    async def add(self, item: Outgoing) -> None:
        """Store a message; it is on disk on return."""
        row = (item.session_id, item.client_message_id, item.content, item.reply_to)
        insert = (
            "INSERT INTO outbox (session_id, client_message_id, content, reply_to) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING"
        )
        async with self._turn:
            await asyncio.to_thread(self._adding.execute, insert, row)

    def remove(self, session_id: str, client_message_id: str) -> None:
        """Remove a message, if it is stored."""
        self._removing.execute(
            "DELETE FROM outbox WHERE session_id = ? AND client_message_id = ?", (session_id, client_message_id)
        )

    def close(self) -> None:
        """Close the file."""
        self._adding.close()
        self._removing.close()
