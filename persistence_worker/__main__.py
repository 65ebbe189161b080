"""The process `python -m persistence_worker [serve | migrate | repartition | dead … | accesses]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.operations import access_command, dead_letter_command, repartitioning
from persistence_worker.settings import AccessesSettings, PersistenceMigrationSettings, PersistenceProcessSettings
from persistence_worker.storage.database import Database
from persistence_worker.storage.tables import SCHEMA
from shared.bus.rabbitmq import RabbitMQBus, refusal
from shared.contracts.topology import CONTROL, DEAD, DELIVERY, QUERIES, TURNS
from shared.database.engine import open_engine
from shared.database.starting import check_address, run_migration
from shared.http.health import WithHealth, routes
from shared.runtime import logs
from shared.runtime.process import Assembly, run
from shared.runtime.settings import DistributedSettings, config_error, load

SPARE_CONNECTIONS = 3  # for the catalogue, the periodic jobs, and the probe


def main() -> None:
    """Run the command of the command line with the settings of the environment."""
    parser = argparse.ArgumentParser(prog="persistence_worker")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="run the worker (default)")
    commands.add_parser("migrate", help="migrate the schema to this release")
    commands.add_parser(
        "repartition", help="change the database to BACKCHAT_PARTITIONS partitions; the old queues must be empty"
    )
    dead_letter_command.add_arguments(commands.add_parser("dead", help="inspect and replay dead letters"))
    access_command.add_arguments(
        commands.add_parser("accesses", help="list accesses of services to sessions of which they are no members")
    )
    chosen = parser.parse_args()
    if chosen.command == "migrate":
        migrate(load(PersistenceMigrationSettings))
    elif chosen.command == "repartition":
        sys.exit(repartition(load(PersistenceProcessSettings)))
    elif chosen.command == "dead":
        sys.exit(dead(load(DistributedSettings), chosen))
    elif chosen.command == "accesses":
        sys.exit(accesses(load(AccessesSettings), chosen))
    else:
        serve(load(PersistenceProcessSettings))


def dead(settings: DistributedSettings, chosen: argparse.Namespace) -> int:
    """Inspect or replay dead letters; return the exit code."""
    logs.configure(app.NAME, level="error", form=settings.log_format)

    async def work() -> int:
        async with RabbitMQBus(settings.amqp_url, name=f"{app.NAME} dead") as bus:
            return await dead_letter_command.run(bus, settings.partitions, chosen)

    return asyncio.run(work())


def accesses(settings: AccessesSettings, chosen: argparse.Namespace) -> int:
    """List accesses of services; return the exit code."""
    logs.configure(app.NAME, level="error", form=settings.log_format)

    async def work() -> int:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        try:
            if not await check_address(engine):
                sys.stderr.write("the database does not answer\n")
                return 1
            return await access_command.run(Database(engine, settings.partitions), chosen)
        finally:
            await engine.dispose()

    return asyncio.run(work())


def repartition(settings: PersistenceProcessSettings) -> int:
    """Change the number of partitions; return the exit code."""
    logs.configure(app.NAME, level="error", form=settings.log_format)

    async def work() -> int:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        try:
            await check_address(engine)
            async with RabbitMQBus(settings.amqp_url, name=f"{app.NAME} repartition") as bus:
                return await repartitioning.repartition(bus, engine, settings.partitions)
        finally:
            await engine.dispose()

    return asyncio.run(work())


def migrate(settings: PersistenceMigrationSettings) -> None:
    """Migrate the schema to this release."""
    logs.configure(app.NAME, level=settings.log_level, form=settings.log_format)

    async def work() -> None:
        engine = open_engine(settings.database_url, schema=SCHEMA)
        try:
            await app.migrate(engine)
        finally:
            await engine.dispose()

    run_migration(work())


def serve(settings: PersistenceProcessSettings) -> None:
    """Run the worker until a signal arrives."""
    logs.configure(app.NAME, level=settings.log_level, form=settings.log_format)

    async def assemble(stack: AsyncExitStack) -> Assembly:
        connections = settings.partitions + settings.queries_in_flight + SPARE_CONNECTIONS
        engine: AsyncEngine = open_engine(settings.database_url, schema=SCHEMA, pool_size=connections)
        stack.push_async_callback(engine.dispose)
        await app.check_partitions(settings, engine=engine)
        if why := await refusal(settings.amqp_url, (DELIVERY, CONTROL, TURNS, QUERIES, DEAD)):
            raise config_error("AMQP_URL", why)
        registry = CollectorRegistry()
        bus = await stack.enter_async_context(RabbitMQBus(settings.amqp_url, name=app.NAME, registry=registry))
        service = app.build(settings, bus=bus, engine=engine, registry=registry)
        health = routes(app.NAME, service.missing, registry if settings.metrics == "on" else None)
        return Assembly([service], WithHealth(health))

    run(assemble, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
