"""A write that is cancelled keeps no lock of the database."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from sqlalchemy import Connection, text

from persistence_worker.storage.database import Database
from shared.database.engine import open_engine, sqlite_url
from tests.support.waiting import until

ROWS = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) SELECT x FROM n")


async def test_cancelled_sqlite_transaction_has_ended_when_its_caller_has(tmp_path: Path) -> None:
    """It is cancelled twice, as by a timeout and the end of the process, while its thread reads rows."""
    path = tmp_path / "database"
    engine = open_engine(sqlite_url(path), schema="persistence")
    reading = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE written (x INTEGER)"))
        loop.call_later(0.02, reading.set)
        connection.execute(ROWS)

    write = asyncio.create_task(Database(engine, 1).write(read))
    await until(reading.is_set)
    write.cancel()
    await asyncio.sleep(0)
    write.cancel()  # while it rolls back
    with pytest.raises(asyncio.CancelledError):
        await write
    with closing(connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
    await engine.dispose()
