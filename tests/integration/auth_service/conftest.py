"""The whole service on SQLite, spoken to over ASGI."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import app
from auth_service.settings import AuthSettings
from auth_service.tables import SCHEMA
from shared.database.engine import open_engine, sqlite_url
from shared.runtime.service import Service

GOOD = "correct horse"


@dataclass(frozen=True)
class Running:
    """A service that runs, and a client of it."""

    service: Service
    client: httpx2.AsyncClient
    engine: AsyncEngine
    registry: CollectorRegistry

    async def register(self, user_id: str, passcode: str = GOOD) -> httpx2.Response:
        return await self.client.post("/register", json={"id": user_id, "passcode": passcode})

    async def login(self, user_id: str, passcode: str = GOOD) -> httpx2.Response:
        return await self.client.post("/login", json={"id": user_id, "passcode": passcode})

    async def me(self, authorization: str | None) -> httpx2.Response:
        headers = {} if authorization is None else {"Authorization": authorization}
        return await self.client.get("/me", headers=headers)


Serve = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def running(url: str, keys: Path, **settings: Any) -> AsyncIterator[Running]:
    """Migrated, entered, with a client."""
    engine, registry = open_engine(url, schema=SCHEMA), CollectorRegistry()
    try:
        await app.migrate(engine)
        service = app.build(AuthSettings(**settings), engine=engine, keys=app.load_keys(keys), registry=registry)
        assert service.app is not None
        transport = httpx2.ASGITransport(service.app, raise_app_exceptions=True)
        async with service.lifespan(), httpx2.AsyncClient(transport=transport, base_url="http://auth") as client:
            yield Running(service, client, engine, registry)
    finally:
        await engine.dispose()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Starts the service with settings of one's own."""
    return lambda **settings: running(sqlite_url(tmp_path / "auth.db"), tmp_path / "keys", **settings)


@pytest.fixture
async def auth(serve: Serve) -> AsyncIterator[Running]:
    async with serve() as service:
        yield service
