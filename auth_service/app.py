"""Composition root of the auth service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service.accounts import Accounts
from auth_service.body_limit import BodyLimit
from auth_service.hashing import Argon2Hasher
from auth_service.keys import KeyRing, UnusableKeys, read_keys
from auth_service.metrics import Metrics
from auth_service.readiness import Readiness
from auth_service.response_headers import ResponseHeaders
from auth_service.routes import PATHS, public_app
from auth_service.settings import AuthSettings
from auth_service.store import DatabaseStore
from auth_service.tables import SCHEMA
from auth_service.tokens import AccessTokens
from shared.database import migrations
from shared.runtime.service import Service, Tasks
from shared.runtime.settings import refuse

MIGRATIONS = Path(__file__).with_name("migrations")


def load_keys(directory: Path) -> KeyRing:
    """The signing keys of a directory; an empty one gets a first key.

    Raises:
        SystemExit: they cannot be used; one line on standard error says why, the code is 2.
    """
    try:
        return read_keys(directory)
    except UnusableKeys as error:
        raise refuse("SIGNING_KEYS", str(error)) from None


async def migrate(engine: AsyncEngine) -> None:
    """Bring the database to the newest revision."""
    await migrations.upgrade(engine, MIGRATIONS, schema=SCHEMA)


def serves(path: str) -> bool:
    """Whether a path on the one origin is auth's."""
    return path in PATHS


def openapi() -> dict[str, Any]:
    """The description of the public routes, without anything behind them."""
    nobody: Any = None
    return public_app(nobody, nobody).openapi()


def build(settings: AuthSettings, *, engine: AsyncEngine, keys: KeyRing, registry: CollectorRegistry) -> Service:
    """The service, not yet running."""
    metrics = Metrics(registry)
    hasher = Argon2Hasher(settings, metrics)
    store = DatabaseStore(engine)
    tokens = AccessTokens(keys, issuer=settings.issuer, ttl=settings.access_token_ttl)
    accounts = Accounts(
        store=store, hasher=hasher, tokens=tokens, refresh_ttl=settings.refresh_token_ttl, metrics=metrics
    )
    readiness = Readiness(store, lambda: migrations.is_current(engine, MIGRATIONS, schema=SCHEMA))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            tasks.start("auth readiness", readiness.watch())
            yield tasks
        await store.settle()
        await asyncio.to_thread(hasher.close)

    app = ResponseHeaders(BodyLimit(public_app(accounts, keys)), settings.allowed_origins)
    return Service(name="auth_service", lifespan=lifespan, missing=readiness.missing, app=app)
