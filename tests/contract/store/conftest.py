"""The databases: a migrated one for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.tables import SCHEMA
from shared.database.engine import open_engine, sqlite_url
from tests.contract.store.harness import StoreHarness


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
async def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An engine on a database without a table."""
    url = sqlite_url(tmp_path / "chat.db") if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    engine = open_engine(url, schema=SCHEMA)
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(empty_engine: AsyncEngine) -> AsyncEngine:
    """An engine on a migrated database."""
    await app.migrate(empty_engine)
    return empty_engine


@pytest.fixture
async def store(engine: AsyncEngine) -> StoreHarness:
    """A store whose catalogue is known."""
    store = StoreHarness(engine)
    await store.announce()
    return store
