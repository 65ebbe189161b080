"""`python -m auth_service [serve | migrate | user … | service … | keys rotate]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import app, service_command, user_command
from auth_service.crypto.key_directory import UnusableKeys
from auth_service.crypto.passcode_hashing import Argon2Hasher
from auth_service.metrics import Metrics
from auth_service.settings import AuthProcessSettings, KeysCommandSettings, MigrateSettings, UserCommandSettings
from auth_service.storage.account_store import AccountStore
from auth_service.storage.tables import SCHEMA
from auth_service.storage.transactions import Transactions
from auth_service.storage.user_command_store import UserCommandStore
from shared.bus.rabbitmq import RabbitMQBus, refusal
from shared.contracts.topology import ACCOUNTS, QUERIES
from shared.database.engine import open_engine
from shared.database.starting import check_address, run_migration
from shared.errors import Unavailable
from shared.http import health
from shared.http.health import WithHealth
from shared.runtime import logs, process
from shared.runtime.settings import config_error, load

logger = structlog.get_logger(__name__)

SERVICE = "auth_service"


def main() -> None:
    """Run the command given by the arguments."""
    chosen = _parser().parse_args()
    if chosen.command == "migrate":
        migrate()
    elif chosen.command == "user":
        user(chosen)
    elif chosen.command == "service":
        service(chosen)
    elif chosen.command == "keys":
        rotate_keys()
    else:
        serve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {SERVICE}")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve requests (the default)")
    commands.add_parser("migrate", help="migrate the database to this release")
    user_command.add_arguments(commands.add_parser("user", help="create or change an account"))
    app.add_service_arguments(commands.add_parser("service", help=service_command.DESCRIPTION))
    keys = commands.add_parser("keys", help="manage the signing keys")
    keys.add_subparsers(dest="action", required=True).add_parser(
        "rotate",
        help="add a signing key, which starts to sign after BACKCHAT_KEY_OVERLAP seconds; no restart is required",
    )
    return parser


def serve() -> None:
    """Serve requests until a signal is received."""
    settings = load(AuthProcessSettings)
    logs.configure(SERVICE, level=settings.log_level, form=settings.log_format)
    if settings.limits == "off":
        logger.warning("limits.disabled", reason="BACKCHAT_LIMITS is off; use this for load tests only")
    keys = app.load_keys(settings, settings.signing_keys)

    async def assemble(stack: AsyncExitStack) -> process.Assembly:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        stack.push_async_callback(engine.dispose)
        await check_address(engine)
        if why := await refusal(settings.amqp_url, (ACCOUNTS, QUERIES)):
            raise config_error("AMQP_URL", why)
        registry = CollectorRegistry()
        bus = await stack.enter_async_context(RabbitMQBus(settings.amqp_url, name=SERVICE, registry=registry))
        revocations = app.open_revocations(settings, engine=engine)
        service = app.build(settings, engine=engine, keys=keys, registry=registry, bus=bus, revocations=revocations)
        checks = health.routes(
            SERVICE, service.missing, registry if settings.metrics == "on" else None, service.degraded
        )
        return process.Assembly([service], WithHealth(checks, service.app))

    process.run(assemble, host=settings.host, port=settings.port)


def migrate() -> None:
    """Migrate the database to the newest revision; exit with code 1 if it is away, with 2 if its address is wrong."""
    settings = load(MigrateSettings)
    logs.configure(SERVICE, level=settings.log_level, form=settings.log_format)

    async def work() -> None:
        async with opened(settings.database_url) as engine:
            await app.migrate(engine)

    run_migration(work())


def user(chosen: argparse.Namespace) -> None:
    """Run a command on an account and print the result; exit with code 1 on failure."""
    settings = load(UserCommandSettings)
    logs.configure(SERVICE, level="error", form=settings.log_format)
    hasher = Argon2Hasher(settings, Metrics(CollectorRegistry()))

    async def work() -> str:
        async with opened(settings.database_url) as engine:
            await check_address(engine)
            transactions = Transactions(engine)
            return await user_command.run(
                chosen, store=UserCommandStore(transactions), users=AccountStore(transactions), hasher=hasher
            )

    try:
        print(asyncio.run(work()))  # noqa: T201
    except (user_command.CommandError, Unavailable) as error:
        sys.exit(f"{SERVICE}: {error}")
    finally:
        hasher.close()


def service(chosen: argparse.Namespace) -> None:
    """Run a command on services and print the result; exit with code 1 on failure."""
    settings = load(MigrateSettings)
    logs.configure(SERVICE, level="error", form=settings.log_format)

    async def work() -> str:
        async with opened(settings.database_url) as engine:
            await check_address(engine)
            return await app.run_service_command(chosen, engine)

    try:
        print(asyncio.run(work()))  # noqa: T201
    except (user_command.CommandError, Unavailable) as error:
        sys.exit(f"{SERVICE}: {error}")


def rotate_keys() -> None:
    """Add a signing key and print when it starts to sign; exit with code 1 on failure."""
    settings = load(KeysCommandSettings)
    logs.configure(SERVICE, level="error", form=settings.log_format)
    keys = app.load_keys(settings, settings.signing_keys)
    try:
        name, seconds = keys.rotate()
    except UnusableKeys as error:
        sys.exit(f"{SERVICE}: {error}")
    print(f"{name} added; it signs in {seconds:g} s")  # noqa: T201


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """Open the database for a command."""
    engine = open_engine(url, schema=SCHEMA)
    try:
        yield engine
    finally:
        await engine.dispose()


if __name__ == "__main__":
    main()
