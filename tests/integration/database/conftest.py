"""A primary and a standby behind one address that can lead to either."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

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
