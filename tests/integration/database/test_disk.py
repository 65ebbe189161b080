"""A full disk of PostgreSQL (contract P12): it is named, nothing is lost, and work continues when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.tables import SCHEMA
from shared.contracts.dead_letters import DeadLetter
from shared.database.engine import open_engine
from tests.integration.persistence_worker.conftest import Worker, worker
from tests.support.children import Home
from tests.support.commands import send
from tests.support.postgresql import PostgreSQL, unprivileged
from tests.support.waiting import until

__all__ = ["worker"]

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.postgresql,
    pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system"),
]

SIZE = 32 * 1024 * 1024  # bytes


@pytest.fixture
def small_disk() -> Iterator[Path]:
    home = Home("disk")  # which the server's user can reach
    place = home.path / "mounted"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    mounted = subprocess.run(mounting, check=False, capture_output=True, text=True)
    try:
        if mounted.returncode:
            pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr}")
        place.chmod(0o755)
        yield place
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)
    finally:
        home.close()


@pytest.fixture
async def engine(small_disk: Path) -> AsyncIterator[AsyncEngine]:
    """A migrated database in a tablespace on the small disk."""
    tables = small_disk / "tables"
    tables.mkdir()
    account = unprivileged()
    os.chown(tables, account.pw_uid, account.pw_gid)
    server = PostgreSQL().start()
    try:
        with psycopg.connect(server.url().replace("+asyncpg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{tables}'".encode())
            connection.execute("CREATE DATABASE small TABLESPACE small")
        engine = open_engine(server.url("small"), schema=SCHEMA)
        await app.migrate(engine)
        yield engine
        await engine.dispose()
    finally:
        server.stop()


async def test_full_disk_is_named_and_every_message_is_stored_when_there_is_room(
    worker: Worker, small_disk: Path
) -> None:
    async with worker() as running:
        session_id = await running.opened()
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4_096))
            except OSError:
                """The disk is full."""
        contents = [f"{n} " + "x" * 8_000 for n in range(40)]
        for content in contents:
            running.put(send(session_id, content))
        await until(lambda: running.service.missing() == ["database", "disk"], 30)
        assert len(running.stored) < len(contents)
        filler.unlink()
        await until(lambda: running.stored == contents, 30)
        await until(lambda: not running.service.missing())
        assert running.bus.events(DeadLetter) == []
