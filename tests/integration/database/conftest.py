"""Services on database URLs; a primary and a standby behind one address that can lead to either."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.tables import SCHEMA
from shared.database.engine import open_engine
from tests.integration.persistence_worker.conftest import worker
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.replication import Replicated

__all__ = ["worker"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a service or its command on a database URL until it ends; the broker is away."""

    def ended(arguments: list[str], url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            env={
                "PATH": os.defpath,
                "BACKCHAT_DATABASE_URL": url,
                "BACKCHAT_AMQP_URL": "amqp://127.0.0.1:1/",
                "BACKCHAT_SIGNING_KEYS": str(tmp_path / "keys"),
                "BACKCHAT_PORT": str(free_port()),
                "BACKCHAT_LOG_LEVEL": "error",
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return ended


def assert_refused(ended: subprocess.CompletedProcess[str], said: str) -> None:
    """A command has ended with one line that names the variable."""
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("BACKCHAT_DATABASE_URL: ")
    assert said in line


@pytest.fixture
def servers() -> Iterator[Replicated]:
    """Both servers, streaming."""
    replicated = Replicated()
    try:
        yield replicated.start()
    finally:
        replicated.stop()


@pytest.fixture
async def address(servers: Replicated) -> AsyncIterator[Proxy]:
    """One address, which leads to the primary at first."""
    proxy = await Proxy(("127.0.0.1", servers.primary.port), free_port()).start()
    yield proxy
    await proxy.stop()


@pytest.fixture
def url(address: Proxy) -> str:
    """The URL of that address."""
    return f"postgresql+asyncpg://app@127.0.0.1:{address.port}/postgres"


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """A migrated engine on the address."""
    engine = open_engine(url, schema=SCHEMA)
    await app.migrate(engine)
    yield engine
    await engine.dispose()
