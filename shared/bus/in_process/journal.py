"""The journal: the entries of durable queues in one SQLite file (WAL, `synchronous=FULL`).

Synchronous code for one writer thread. Each statement releases the interpreter's lock and must get it back from a busy
event loop, so one statement handles many rows.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.contracts.topology import Exchange, Queue
from shared.errors import Unavailable

SCHEMA_VERSION = 1
WAL_BYTES_MAX = 64 * 1024 * 1024  # the write-ahead log is truncated to this size after a burst
ROOM = 1024 * 1024  # bytes that must be free after a disk was full
ROWS_PER_STATEMENT = (64, 8, 1)

SCHEMA = """
CREATE TABLE queues (name TEXT PRIMARY KEY, definition TEXT NOT NULL, prefetch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, queue TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, deliveries INTEGER NOT NULL
);
CREATE TABLE run (only INTEGER PRIMARY KEY CHECK (only = 1), starts INTEGER NOT NULL, clean INTEGER NOT NULL);
INSERT INTO run VALUES (1, 0, 1);
"""

Row = tuple[int, str, str, bytes]  # id, queue, key, body; ids ascend in queue order


@dataclass(frozen=True, slots=True)
class Stored:
    """One body in a durable queue."""

    id: int
    queue: str
    key: str
    body: bytes
    deliveries: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The entries and queues of the file. `starts` counts the processes that opened it, this one included."""

    starts: int
    queues: Sequence[tuple[Queue, int]]  # with the prefetch of its consumers
    entries: Sequence[Stored]


class Journal:
    """One open file, or, where `path` is `None`, a database in memory. All methods belong to one thread."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._name = path.name if path is not None else "the journal in memory"
        self._database: sqlite3.Connection

    def open(self) -> Contents:
        """Create or open the file, lock it for this process, and read it.

        Raises:
            Unavailable: another process has it open, or a newer release wrote it.
            OSError, sqlite3.Error: the file cannot be created or read.
        """
        if self._path is not None:
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)  # SQLite gives its -wal file the same mode
        database = self._database = sqlite3.connect(self._path or ":memory:", isolation_level=None, timeout=0.5)
        try:
            for pragma in (
                "locking_mode=EXCLUSIVE",
                "auto_vacuum=INCREMENTAL",
                "journal_mode=WAL",
                "synchronous=FULL",
                f"journal_size_limit={WAL_BYTES_MAX}",
            ):
                database.execute(f"PRAGMA {pragma}")
            return self._begin_run()
        except sqlite3.OperationalError as error:
            database.close()
            if "locked" in str(error):
                raise Unavailable(f"another process has {self._name} open") from None
            raise
        except BaseException:
            database.close()
            raise

    def _begin_run(self) -> Contents:
        with self._transaction() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise Unavailable(f"{self._name} was written by a newer release")
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            starts, clean = database.execute("SELECT starts + 1, clean FROM run").fetchone()
            rows = database.execute("SELECT name, definition, prefetch FROM queues").fetchall()
            if not clean:
                for name, _, prefetch in rows:
                    _count_deliveries(database, name, prefetch)
            database.execute("UPDATE run SET starts = ?, clean = 0", (starts,))
            entries = database.execute("SELECT id, queue, key, body, deliveries FROM entries ORDER BY id")
            return Contents(
                starts,
                [(_read_queue(name, definition), prefetch) for name, definition, prefetch in rows],
                [Stored(*row) for row in entries],
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def write(self, rows: Sequence[Row], removed: Sequence[int]) -> None:
        """Insert `rows` and delete the `removed` ids, in one durable transaction.

        Without either it writes as well, to check whether writing works again.

        Raises:
            sqlite3.Error: the transaction was rolled back.
        """
        alone = not rows or (not removed and len(rows) in ROWS_PER_STATEMENT)  # one statement needs no BEGIN and COMMIT
        with contextlib.nullcontext(self._database) if alone else self._transaction() as db:
            for some in _portions(rows):
                values = ",".join(["(?,?,?,?,0)"] * len(some))
                statement = f"INSERT INTO entries VALUES {values}"  # noqa: S608 (marks only)
                db.execute(statement, [value for row in some for value in row])
            if removed:
                ids = orjson.dumps(removed).decode()
                db.execute("DELETE FROM entries WHERE id IN (SELECT value FROM json_each(?))", (ids,))
            if not rows and not removed:
                self._require_room()
                db.execute("UPDATE run SET clean = 0")

    def _require_room(self) -> None:
        """Check that the disk has room: on a full one, a write that needs no further page of the file succeeds.

        Raises:
            sqlite3.OperationalError: it has not.
        """
        if self._path is not None and shutil.disk_usage(self._path.parent).free < ROOM:
            error = sqlite3.OperationalError("the disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    def define(self, queue: Queue, prefetch: int) -> None:
        """Store a durable queue with its bindings and the prefetch of its consumers."""
        self._database.execute(
            "INSERT INTO queues VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET definition = excluded.definition,"
            " prefetch = excluded.prefetch",
            (queue.name, orjson.dumps(queue).decode(), prefetch),
        )

    def close(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Store the `deliveries` (count, id) of unacknowledged entries, mark a clean end, and close the file."""
        try:
            with self._transaction() as database:
                database.executemany("UPDATE entries SET deliveries = ? WHERE id = ?", deliveries)
                database.execute("UPDATE run SET clean = 1")
            self._database.execute("PRAGMA incremental_vacuum").fetchall()
        finally:
            self._database.close()


def _portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Split rows into portions of few sizes, so that their prepared statements are reused."""
    done = 0
    for size in ROWS_PER_STATEMENT:
        while len(rows) - done >= size:
            yield rows[done : done + size]
            done += size


def _count_deliveries(database: sqlite3.Connection, queue: str, prefetch: int) -> None:
    """Count one delivery of each entry that may have been delivered before a crash: the head of the queue.

    Twice the prefetch, because acknowledgements of the last milliseconds are lost as well.
    """
    database.execute(
        "UPDATE entries SET deliveries = deliveries + 1"
        " WHERE id IN (SELECT id FROM entries WHERE queue = ? ORDER BY id LIMIT ?)",
        (queue, 2 * prefetch),
    )


def _read_queue(name: str, definition: str) -> Queue:
    raw = orjson.loads(definition)
    bindings = tuple((Exchange(**exchange), key) for exchange, key in raw["bindings"])
    return Queue(**(raw | {"name": name, "bindings": bindings}))
