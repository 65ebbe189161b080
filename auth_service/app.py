"""Composition root of the auth service."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import service_command
from auth_service.crypto.access_tokens import AccessTokens
from auth_service.crypto.key_directory import KeyDirectory, UnusableKeys
from auth_service.crypto.passcode_hashing import Argon2Hasher
from auth_service.crypto.refresh_tokens import RefreshTokens
from auth_service.http import public_app
from auth_service.http.authentication import authenticate_with
from auth_service.http.client_address import trust_proxies
from auth_service.http.middleware.body_limit import BodyLimit
from auth_service.http.middleware.head_requests import HeadRequests
from auth_service.http.middleware.response_headers import ResponseHeaders
from auth_service.http.origins import AllowedOrigins, allow_origins
from auth_service.http.refresh_cookie import RefreshCookies
from auth_service.http.routes.account_routes import account_routes
from auth_service.http.routes.export_routes import export_routes
from auth_service.http.routes.internal_routes import internal_routes
from auth_service.http.routes.login_routes import login_routes
from auth_service.http.routes.oidc_routes import OidcLogin, oidc_routes
from auth_service.http.routes.service_user_routes import service_user_routes
from auth_service.http.routes.token_routes import token_routes
from auth_service.jobs.outbox_relay import OutboxRelay
from auth_service.jobs.readiness import Readiness
from auth_service.jobs.revocation_list import RevocationList
from auth_service.jobs.sweep import Sweep
from auth_service.metrics import Metrics
from auth_service.settings import AuthSettings
from auth_service.storage.account_store import AccountStore
from auth_service.storage.federated_account_store import FederatedAccountStore
from auth_service.storage.login_store import LoginStore
from auth_service.storage.outbox_store import OutboxStore
from auth_service.storage.service_store import ServiceStore
from auth_service.storage.service_user_store import ServiceUserStore
from auth_service.storage.sweep_store import SweepStore
from auth_service.storage.tables import SCHEMA
from auth_service.storage.throttle_store import ThrottleStore
from auth_service.storage.transactions import Transactions
from auth_service.use_cases.accounts import Accounts
from auth_service.use_cases.authentication import Authentication
from auth_service.use_cases.chat_export import ChatExport
from auth_service.use_cases.credential_check import CredentialCheck
from auth_service.use_cases.federated_accounts import FederatedAccounts
from auth_service.use_cases.guests import Guests
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from auth_service.use_cases.service_tokens import ServiceTokens
from auth_service.use_cases.service_users import ServiceUsers
from auth_service.use_cases.throttle import NoThrottle, TallyThrottle, Throttle
from auth_service.user_command import CommandError as CommandError  # noqa: PLC0414 - raised to `embedded`
from shared.bus.port import Bus, missing_of
from shared.database import migrations
from shared.http.forwarded_headers import TrustedProxies
from shared.runtime.service import Service, Tasks
from shared.runtime.settings import config_error

if TYPE_CHECKING:
    from auth_service.oidc.http_client import ProviderHttpClient
    from auth_service.oidc.provider import Provider

MIGRATIONS = Path(__file__).with_name("migrations")


def load_keys(settings: AuthSettings, directory: Path) -> KeyDirectory:
    """Open the key directory; an empty one is filled with a first key and a secret.

    Raises:
        SystemExit: the directory cannot be used (exit code 2, with the reason on standard error).
    """
    try:
        return KeyDirectory(directory, overlap=settings.key_overlap, token_ttl=settings.access_token_ttl)
    except UnusableKeys as error:
        raise config_error("SIGNING_KEYS", str(error)) from None


async def migrate(engine: AsyncEngine) -> None:
    """Migrate the database to the newest revision."""
    await migrations.upgrade(engine, MIGRATIONS, schema=SCHEMA)


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands by which operators manage services."""
    service_command.add_arguments(parser)


async def run_service_command(chosen: argparse.Namespace, engine: AsyncEngine) -> str:
    """Run a command on services and return its message.

    Raises:
        CommandError: the command failed, or the database is not migrated to this release.
        Unavailable: the database is away.
    """
    transactions = Transactions(engine)
    await transactions.probe()
    if not await migrations.is_current(engine, MIGRATIONS, schema=SCHEMA):
        raise CommandError("the database is not migrated to this release")
    return await service_command.run(chosen, ServiceStore(transactions))


def serves(path: str) -> bool:
    """Return whether auth serves a path of the origin."""
    return public_app.serves(path)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the public routes."""
    unused: Any = None
    described = [account_routes(unused), login_routes(unused, unused, unused, unused, unused), oidc_routes(unused)]
    described += [token_routes(unused), service_user_routes(unused), export_routes(unused, unused, unused)]
    return public_app.http_app(unused, *described).openapi()


def open_revocations(_settings: AuthSettings, *, engine: AsyncEngine) -> RevocationList:
    """Create the list of revoked logins that gateways poll; the service of `build` keeps it current."""
    return RevocationList(LoginStore(Transactions(engine)))


def open_accounts(engine: AsyncEngine) -> Callable[[Sequence[str]], Awaitable[list[str]]]:
    """Create the check for gateways which of some user ids belong to accounts."""
    return AccountStore(Transactions(engine)).existing


def build(
    settings: AuthSettings,
    *,
    engine: AsyncEngine,
    keys: KeyDirectory,
    registry: CollectorRegistry,
    bus: Bus,
    revocations: RevocationList,
) -> Service:
    """Build the service; entering its lifespan starts it."""
    metrics = Metrics(registry)
    hasher = Argon2Hasher(settings, metrics)
    provider_client = _provider_http_client(settings)
    transactions = Transactions(engine)
    store = AccountStore(transactions)
    throttle = _throttle(settings, transactions, keys, metrics)
    check = CredentialCheck(store=store, hasher=hasher, throttle=throttle, metrics=metrics)
    outbox = OutboxRelay(OutboxStore(transactions), bus)
    sweep = Sweep(SweepStore(transactions))
    accounts = Accounts(store=store, check=check, hasher=hasher, throttle=throttle, outbox=outbox, metrics=metrics)
    access_tokens = AccessTokens(keys.ring, issuer=settings.issuer, ttl=settings.access_token_ttl)
    logins = LoginLifecycle(
        store=LoginStore(transactions),
        access_tokens=access_tokens,
        refresh_tokens=RefreshTokens(keys.secret("refresh tokens")),
        refresh_ttl=settings.refresh_token_ttl,
        metrics=metrics,
    )
    services = ServiceTokens(
        store=ServiceStore(transactions), access_tokens=access_tokens, throttle=throttle, metrics=metrics
    )
    service_users = ServiceUsers(store=ServiceUserStore(transactions), accounts=store, logins=logins, outbox=outbox)
    readiness = Readiness(transactions, lambda: migrations.is_current(engine, MIGRATIONS, schema=SCHEMA))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            for work in (readiness.watch, keys.watch, revocations.watch, outbox.run, sweep.run):
                tasks.start(f"auth {work.__qualname__}", work())
            yield tasks
        await transactions.drain()
        await revocations.drain()
        await asyncio.to_thread(hasher.close)
        if provider_client:
            await provider_client.close()

    proxies = TrustedProxies(settings.trusted_proxies)
    origins = AllowedOrigins(proxies, settings.allowed_origins)
    cookies = RefreshCookies(origins)
    guests = Guests(users=store, throttle=throttle, admitted=settings.guests == "on")
    http = public_app.http_app(
        keys.ring,
        account_routes(accounts),
        login_routes(check, logins, services, guests, cookies),
        oidc_routes(
            _oidc(
                settings, provider_client, FederatedAccounts(FederatedAccountStore(transactions)), logins, cookies, keys
            )
        ),
        token_routes(services),
        service_user_routes(service_users),
        export_routes(logins, ChatExport(bus), throttle),
        internal_routes(revocations.since, store.existing),
    )
    authenticate_with(http, Authentication(access_tokens, logins, services))
    allow_origins(http, origins)
    trust_proxies(http, proxies)
    app = ResponseHeaders(BodyLimit(HeadRequests(http)), settings.allowed_origins, proxies)
    # Without the broker, account events wait in the outbox, and nothing else is affected.
    return Service(
        name="auth_service", lifespan=lifespan, missing=readiness.missing, app=app, degraded=partial(missing_of, bus)
    )


def _throttle(settings: AuthSettings, transactions: Transactions, keys: KeyDirectory, metrics: Metrics) -> Throttle:
    if settings.limits == "off":
        return NoThrottle()
    store = ThrottleStore(transactions)
    return TallyThrottle(store, key=keys.secret("throttle"), settings=settings, metrics=metrics)


def _provider_http_client(settings: AuthSettings) -> ProviderHttpClient | None:
    if settings.oidc is None:
        return None
    from auth_service.oidc.http_client import ProviderHttpClient  # noqa: PLC0415 - a tenth of the CPU time of a start

    return ProviderHttpClient()


def _oidc(
    settings: AuthSettings,
    provider_client: ProviderHttpClient | None,
    identities: FederatedAccounts,
    logins: LoginLifecycle,
    cookies: RefreshCookies,
    keys: KeyDirectory,
) -> OidcLogin:
    oidc = settings.oidc
    provider: Provider | None = None
    if oidc and provider_client:
        from auth_service.oidc.provider import Provider  # noqa: PLC0415 - as above

        provider = Provider(oidc, provider_client)
    return OidcLogin(oidc, provider, identities=identities, logins=logins, cookies=cookies, key=keys.secret("oidc"))
