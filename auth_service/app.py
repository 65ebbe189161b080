"""Composition root of the auth service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service.crypto.access_tokens import AccessTokens
from auth_service.crypto.key_directory import KeyDirectory, UnusableKeys
from auth_service.crypto.passcode_hashing import Argon2Hasher
from auth_service.crypto.refresh_tokens import RefreshTokens
from auth_service.http import public_app
from auth_service.http.bearer import check_bearers
from auth_service.http.client_address import tell_sources
from auth_service.http.middleware.body_limit import BodyLimit
from auth_service.http.middleware.head_requests import HeadRequests
from auth_service.http.middleware.response_headers import ResponseHeaders
from auth_service.http.refresh_cookie import SessionCookies
from auth_service.http.routes.account_routes import account_routes
from auth_service.http.routes.export_routes import export_routes
from auth_service.http.routes.internal_routes import internal_routes
from auth_service.http.routes.login_routes import login_routes
from auth_service.http.routes.oidc_routes import OidcLogin, oidc_routes
from auth_service.jobs.outbox_relay import Outbox
from auth_service.jobs.readiness import Readiness
from auth_service.jobs.revocation_list import Revocations
from auth_service.jobs.sweep import Sweep
from auth_service.metrics import Metrics
from auth_service.oidc.provider import Provider
from auth_service.settings import AuthSettings
from auth_service.storage.account_store import AccountStore
from auth_service.storage.federated_account_store import IdentityStore
from auth_service.storage.login_store import LoginStore
from auth_service.storage.outbox_store import OutboxStore
from auth_service.storage.sweep_store import SweepStore
from auth_service.storage.tables import SCHEMA
from auth_service.storage.throttle_store import ThrottleStore
from auth_service.storage.transactions import Transactions
from auth_service.use_cases.accounts import Accounts
from auth_service.use_cases.chat_export import ChatExport
from auth_service.use_cases.credential_check import CredentialCheck
from auth_service.use_cases.federated_accounts import Identities
from auth_service.use_cases.guests import Guests
from auth_service.use_cases.login_lifecycle import Logins
from auth_service.use_cases.throttle import Guard, NoGuard, Throttle
from shared.bus.port import Bus
from shared.database import migrations
from shared.runtime.forwarded import TrustedProxies
from shared.runtime.service import Service, Tasks
from shared.runtime.settings import refuse

if TYPE_CHECKING:
    from auth_service.oidc.http_client import OidcRequests

MIGRATIONS = Path(__file__).with_name("migrations")


def load_keys(settings: AuthSettings, directory: Path) -> KeyDirectory:
    """The keys of a directory; an empty one gets its first ones.

    Raises:
        SystemExit: they cannot be used; one line on standard error says why, the code is 2.
    """
    try:
        return KeyDirectory(directory, overlap=settings.key_overlap, token_ttl=settings.access_token_ttl)
    except UnusableKeys as error:
        raise refuse("SIGNING_KEYS", str(error)) from None


async def migrate(engine: AsyncEngine) -> None:
    """Bring the database to the newest revision."""
    await migrations.upgrade(engine, MIGRATIONS, schema=SCHEMA)


def serves(path: str) -> bool:
    """Whether a path on the one origin is auth's."""
    return public_app.serves(path)


def openapi() -> dict[str, Any]:
    """The description of the public routes, without anything behind them."""
    nobody: Any = None
    described = [account_routes(nobody), login_routes(nobody, nobody, nobody, nobody), oidc_routes(nobody)]
    return public_app.http_app(nobody, *described, export_routes(nobody, nobody, nobody)).openapi()


def open_revocations(_settings: AuthSettings, *, engine: AsyncEngine) -> Revocations:
    """The list of revoked logins, which `build` keeps up to date; gateways ask it (design §2)."""
    return Revocations(LoginStore(Transactions(engine)))


def build(
    settings: AuthSettings,
    *,
    engine: AsyncEngine,
    keys: KeyDirectory,
    registry: CollectorRegistry,
    bus: Bus,
    revocations: Revocations,
) -> Service:
    """The service, not yet running."""
    metrics = Metrics(registry)
    hasher = Argon2Hasher(settings, metrics)
    ask = _oidc_requests(settings)
    transactions = Transactions(engine)
    store = AccountStore(transactions)
    guard = _guard(settings, transactions, keys, metrics)
    check = CredentialCheck(store=store, hasher=hasher, guard=guard, metrics=metrics)
    outbox = Outbox(OutboxStore(transactions), bus)
    sweep = Sweep(SweepStore(transactions))
    accounts = Accounts(store=store, check=check, hasher=hasher, guard=guard, outbox=outbox, metrics=metrics)
    logins = Logins(
        store=LoginStore(transactions),
        access_tokens=AccessTokens(keys.ring, issuer=settings.issuer, ttl=settings.access_token_ttl),
        refresh_tokens=RefreshTokens(keys.secret("refresh tokens")),
        refresh_ttl=settings.refresh_token_ttl,
        metrics=metrics,
    )
    readiness = Readiness(store, lambda: migrations.is_current(engine, MIGRATIONS, schema=SCHEMA))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            for work in (readiness.watch, keys.watch, revocations.watch, outbox.run, sweep.run):
                tasks.start(f"auth {work.__qualname__}", work())
            yield tasks
        await transactions.settle()
        await revocations.settle()
        await asyncio.to_thread(hasher.close)
        if ask:
            await ask.close()

    proxies = TrustedProxies(settings.trusted_proxies)
    cookies = SessionCookies(proxies, settings.allowed_origins)
    guests = Guests(users=store, guard=guard, admitted=settings.guests == "on")
    http = public_app.http_app(
        keys.ring,
        account_routes(accounts),
        login_routes(check, logins, guests, cookies),
        oidc_routes(_oidc(settings, ask, Identities(IdentityStore(transactions)), logins, cookies, keys)),
        export_routes(logins, ChatExport(bus), guard),
        internal_routes(revocations.since),
    )
    check_bearers(http, logins)
    tell_sources(http, proxies)
    app = ResponseHeaders(BodyLimit(HeadRequests(http)), settings.allowed_origins, proxies)
    return Service(name="auth_service", lifespan=lifespan, missing=readiness.missing, app=app)


def _guard(settings: AuthSettings, transactions: Transactions, keys: KeyDirectory, metrics: Metrics) -> Guard:
    if settings.limits == "off":
        return NoGuard()
    store = ThrottleStore(transactions)
    return Throttle(store, key=keys.secret("throttle"), settings=settings, metrics=metrics)


def _oidc_requests(settings: AuthSettings) -> OidcRequests | None:
    if settings.oidc is None:
        return None
    from auth_service.oidc.http_client import OidcRequests  # noqa: PLC0415 - a tenth of a start's CPU, for who needs it

    return OidcRequests()


def _oidc(
    settings: AuthSettings,
    ask: OidcRequests | None,
    identities: Identities,
    logins: Logins,
    cookies: SessionCookies,
    keys: KeyDirectory,
) -> OidcLogin:
    oidc = settings.oidc
    provider = Provider(oidc, ask) if oidc and ask else None
    return OidcLogin(oidc, provider, identities=identities, logins=logins, cookies=cookies, key=keys.secret("oidc"))
