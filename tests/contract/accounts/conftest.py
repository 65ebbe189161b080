"""An empty auth database, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service.storage.tables import SCHEMA
from shared.database.engine import open_engine, sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An engine whose database has no tables yet."""
    on_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path / "auth.db") if on_sqlite else request.getfixturevalue("postgresql_url")
    engine = open_engine(url, schema=SCHEMA)
    yield engine
    await engine.dispose()
