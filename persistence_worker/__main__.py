"""The process: `python -m persistence_worker [serve | migrate | repartition | dead list | dead show | dead replay]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.operations import dead_letter_command, repartitioning
from persistence_worker.settings import PersistenceMigrationSettings, PersistenceProcessSettings
from persistence_worker.storage.tables import SCHEMA
from shared.bus.rabbitmq import RabbitMQBus
from shared.database.engine import open_engine
from shared.runtime import logs
from shared.runtime.health import routes
from shared.runtime.http import WithHealth
from shared.runtime.process import Assembly, run
from shared.runtime.settings import DistributedSettings, load

SPARE_CONNECTIONS = 3  # catalogue, overdue turns, watch


def main() -> None:
    """Read the command and the environment, then do as told."""
    parser = argparse.ArgumentParser(prog="persistence_worker")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="the default")
    commands.add_parser("migrate", help="bring the tables up to this release")
    commands.add_parser("repartition", help="take BACKCHAT_PARTITIONS for the database, once the old queues are empty")
    dead_letter_command.add_arguments(commands.add_parser("dead", help="look at dead letters and replay them"))
    chosen = parser.parse_args()
    if chosen.command == "migrate":
        migrate(load(PersistenceMigrationSettings))
    elif chosen.command == "repartition":
        sys.exit(repartition(load(PersistenceProcessSettings)))
    elif chosen.command == "dead":
        sys.exit(dead(load(DistributedSettings), chosen))
    else:
        serve(load(PersistenceProcessSettings))


def dead(settings: DistributedSettings, chosen: argparse.Namespace) -> int:
    """Look at dead letters or replay them; the exit code."""
    logs.configure(app.NAME, level="error", form=settings.log_format)

    async def work() -> int:
        async with RabbitMQBus(settings.amqp_url, name=f"{app.NAME} dead") as bus:
            return await dead_letter_command.run(bus, settings.partitions, chosen)

    return asyncio.run(work())


def repartition(settings: PersistenceProcessSettings) -> int:
    """Take another number of partitions; the exit code."""
    logs.configure(app.NAME, level="error", form=settings.log_format)

    async def work() -> int:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        try:
            async with RabbitMQBus(settings.amqp_url, name=f"{app.NAME} repartition") as bus:
                return await repartitioning.repartition(bus, engine, settings.partitions)
        finally:
            await engine.dispose()

    return asyncio.run(work())


def migrate(settings: PersistenceMigrationSettings) -> None:
    """Bring the tables up to this release and end."""
    logs.configure(app.NAME, level=settings.log_level, form=settings.log_format)

    async def work() -> None:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        try:
            await app.migrate(engine)
        finally:
            await engine.dispose()

    asyncio.run(work())


def serve(settings: PersistenceProcessSettings) -> None:
    """Serve until a signal comes."""
    logs.configure(app.NAME, level=settings.log_level, form=settings.log_format)

    async def assemble(stack: AsyncExitStack) -> Assembly:
        connections = settings.partitions + settings.queries_in_flight + SPARE_CONNECTIONS
        engine: AsyncEngine = open_engine(settings.database_url, schema=SCHEMA, pool_size=connections)
        stack.push_async_callback(engine.dispose)
        await app.agree(settings, engine=engine)
        registry = CollectorRegistry()
        bus = await stack.enter_async_context(RabbitMQBus(settings.amqp_url, name=app.NAME, registry=registry))
        service = app.build(settings, bus=bus, engine=engine, registry=registry)
        health = routes(app.NAME, service.missing, registry if settings.metrics == "on" else None)
        return Assembly([service], WithHealth(health))

    run(assemble, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
