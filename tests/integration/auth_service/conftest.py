"""The whole service on SQLite, called over ASGI."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import app
from auth_service.jobs.revocation_list import RevocationList
from auth_service.settings import AuthSettings
from auth_service.storage.tables import SCHEMA
from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus
from shared.database.engine import open_engine, sqlite_url
from shared.runtime.service import Service
from tests.support.oidc_provider import running_provider

GOOD = "correct horse"


@dataclass(frozen=True)
class Running:
    """A running service and a client of it."""

    service: Service
    client: httpx2.AsyncClient
    engine: AsyncEngine
    registry: CollectorRegistry
    revocations: RevocationList
    bus: Bus

    async def register(self, user_id: str, passcode: str = GOOD) -> httpx2.Response:
        return await self.client.post("/register", json={"id": user_id, "passcode": passcode})

    async def login(self, user_id: str, passcode: str = GOOD) -> httpx2.Response:
        return await self.client.post("/login", json={"id": user_id, "passcode": passcode})

    async def tokens(self, user_id: str, passcode: str = GOOD, **headers: str) -> dict[str, Any]:
        """Log in and return the tokens."""
        answer = await self.client.post("/login", json={"id": user_id, "passcode": passcode}, headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, tokens: dict[str, Any]) -> httpx2.Response:
        return await self.client.post("/refresh", json={"refresh_token": tokens["refresh_token"]})

    async def ask(self, method: str, path: str, tokens: dict[str, Any], **more: Any) -> httpx2.Response:
        """Send a request with the access token of `tokens`."""
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return await self.client.request(method, path, headers=headers, **more)

    async def me(self, authorization: str | None) -> httpx2.Response:
        headers = {} if authorization is None else {"Authorization": authorization}
        return await self.client.get("/me", headers=headers)


Serve = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def running(url: str, keys: Path, **settings: Any) -> AsyncIterator[Running]:
    """Migrate the database, start the service, and open a client."""
    keys.parent.mkdir(exist_ok=True)
    engine, registry = open_engine(url, schema=SCHEMA), CollectorRegistry()
    try:
        await app.migrate(engine)
        made = AuthSettings(**settings)
        revocations = app.open_revocations(made, engine=engine)
        async with InProcessBus(keys.with_name("bus.db")) as bus:
            service = app.build(
                made, engine=engine, keys=app.load_keys(made, keys), registry=registry, bus=bus, revocations=revocations
            )
            assert service.app is not None
            transport = httpx2.ASGITransport(service.app, raise_app_exceptions=True)
            async with service.lifespan(), httpx2.AsyncClient(transport=transport, base_url="http://auth") as client:
                yield Running(service, client, engine, registry, revocations, bus)
    finally:
        await engine.dispose()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return a function that starts the service with the given settings."""
    return lambda **settings: running(sqlite_url(tmp_path / "auth.db"), tmp_path / "keys", **settings)


@pytest.fixture
async def auth(serve: Serve) -> AsyncIterator[Running]:
    async with serve() as service:
        yield service


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Run an OpenID provider and return its issuer."""
    with running_provider() as server:
        yield server.issuer


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(code)
    return problem
