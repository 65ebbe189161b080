"""Where the outbox outlives the process. One client at a time uses a store."""

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
BUSY_TIMEOUT = 5.0  # seconds; the two connections below wait for each other for one write at most


class Store(Protocol):
    """Keeps messages until they are settled."""

    def load(self) -> list[Outgoing]:
        """What is kept, in the order added."""

    async def add(self, item: Outgoing) -> None:
        """Keep a message; it is durable on return. One that is kept already stays as it is. Never cancelled."""

    def remove(self, session_id: str, client_message_id: str) -> None:
        """Drop a message, if it is kept. Need not be durable: sent again, it is stored once all the same."""

    def close(self) -> None:
        """Let go of the file."""


class MemoryStore:
    """Keeps nothing over a restart: for programs whose messages may die with them, and for tests."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Outgoing] = {}

    def load(self) -> list[Outgoing]:
        """What is kept, in the order added."""
        return list(self._kept.values())

    async def add(self, item: Outgoing) -> None:
        """Keep a message."""
        self._kept.setdefault((item.session_id, item.client_message_id), item)

    def remove(self, session_id: str, client_message_id: str) -> None:
        """Drop a message."""
        self._kept.pop((session_id, client_message_id), None)

    def close(self) -> None:
        """Nothing to let go of."""


class SQLiteStore:
    """A file. Adding syncs it to the disk, in a thread; removing writes without a sync, at once."""

    def __init__(self, path: Path | str) -> None:
        """Open or make the file.

        Raises:
            sqlite3.Error: it cannot be opened, or is something else.
        """
        # Two connections, as each has its own `synchronous`; in WAL mode FULL is one fsync a commit, NORMAL none.
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
        """What is kept, in the order added."""
        rows = self._removing.execute(
            "SELECT session_id, client_message_id, content, reply_to FROM outbox ORDER BY place"
        )
        return [Outgoing(*row) for row in rows]

    async def add(self, item: Outgoing) -> None:
        """Keep a message; it is on the disk on return."""
        row = (item.session_id, item.client_message_id, item.content, item.reply_to)
        insert = (
            "INSERT INTO outbox (session_id, client_message_id, content, reply_to) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING"
        )
        async with self._turn:
            await asyncio.to_thread(self._adding.execute, insert, row)

    def remove(self, session_id: str, client_message_id: str) -> None:
        """Drop a message, if it is kept."""
        self._removing.execute(
            "DELETE FROM outbox WHERE session_id = ? AND client_message_id = ?", (session_id, client_message_id)
        )

    def close(self) -> None:
        """Close the file."""
        self._adding.close()
        self._removing.close()
