"""`python -m auth_service [serve|migrate]`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from auth_service import app
from auth_service.settings import AuthProcessSettings, MigrateSettings
from auth_service.tables import SCHEMA
from shared.bus.rabbitmq import RabbitMQBus
from shared.database.engine import open_engine
from shared.runtime import health, logs, process
from shared.runtime.http import WithHealth
from shared.runtime.settings import CONFIG_ERROR, load

logger = structlog.get_logger(__name__)

SERVICE = "auth_service"


def main() -> None:
    """Read the command and do it."""
    command = sys.argv[1:] or ["serve"]
    if command == ["serve"]:
        serve()
    elif command == ["migrate"]:
        migrate()
    else:
        sys.stderr.write("usage: python -m auth_service [serve|migrate]\n")
        raise SystemExit(CONFIG_ERROR)


def serve() -> None:
    """Serve until a signal comes."""
    settings = load(AuthProcessSettings)
    logs.configure(SERVICE, level=settings.log_level, form=settings.log_format)
    keys = app.load_keys(settings.signing_keys)

    async def assemble(stack: AsyncExitStack) -> process.Assembly:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        stack.push_async_callback(engine.dispose)
        bus = await stack.enter_async_context(RabbitMQBus(settings.amqp_url, name=SERVICE))
        registry = CollectorRegistry()
        revocations = app.open_revocations(settings, engine=engine)
        service = app.build(settings, engine=engine, keys=keys, registry=registry, bus=bus, revocations=revocations)
        checks = health.routes(SERVICE, service.missing, registry if settings.metrics == "on" else None)
        return process.Assembly([service], WithHealth(checks, service.app))

    process.run(assemble, host=settings.host, port=settings.port)


def migrate() -> None:
    """Bring the database to the newest revision; exit code 1 where that fails."""
    settings = load(MigrateSettings)
    logs.configure(SERVICE, level=settings.log_level, form=settings.log_format)

    async def run() -> None:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        try:
            await app.migrate(engine)
        finally:
            await engine.dispose()

    try:
        asyncio.run(run())
    except OSError as error:
        logger.error("cannot migrate", reason=str(error))  # noqa: TRY400 - the database is away; a trace says no more
        raise SystemExit(1) from None
    logger.info("migrated")


if __name__ == "__main__":
    main()
