"""Composition root of the persistence worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.activity_notices import Notices
from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.commands.group_commit import Committer
from persistence_worker.commands.partition_consumer import Partition
from persistence_worker.commands.transaction import Ledger
from persistence_worker.consumers.account_erasure import Accounts
from persistence_worker.consumers.catalogue_announcements import Announcements
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.jobs.overdue_turns import Overdue
from persistence_worker.jobs.sweep import Sweep
from persistence_worker.jobs.unanswered_stops import Stops
from persistence_worker.metrics import Metrics
from persistence_worker.reads.queries import Queries
from persistence_worker.reads.query_server import QueryServer
from persistence_worker.settings import PersistenceSettings
from persistence_worker.storage.database import MIGRATIONS, Database, refuse_other_partitions
from persistence_worker.storage.tables import SCHEMA
from shared.bus.port import Bus
from shared.database import migrations
from shared.runtime.service import Service, Tasks

NAME = "persistence_worker"


async def migrate(engine: AsyncEngine) -> None:
    """Bring the tables up to this release."""
    await migrations.upgrade(engine, MIGRATIONS, schema=SCHEMA)


async def agree(settings: PersistenceSettings, *, engine: AsyncEngine) -> None:
    """See whether the database is one for these settings, before anything else is opened.

    Raises:
        SystemExit: it was made with another number of partitions (exit code 2, one line).
    """
    await refuse_other_partitions(engine, settings.partitions)


def build(settings: PersistenceSettings, *, bus: Bus, engine: AsyncEngine, registry: CollectorRegistry) -> Service:
    """The service; its tables must have been migrated by someone, sooner or later."""
    metrics = Metrics(registry)
    catalogue = Catalogue()
    database = Database(engine, settings.partitions)
    limits = Limits(chatbots=settings.chatbots_max, users=settings.users_max)
    ledger = Ledger(database, catalogue, limits=limits)
    notices = Notices(bus=bus, partitions=settings.partitions)
    committer = Committer(bus=bus, ledger=ledger, notices=notices, metrics=metrics, partitions=settings.partitions)
    dead_letters = DeadLetterPublisher(bus, metrics, settings.partitions)
    announcements = Announcements(bus=bus, database=database, catalogue=catalogue, dead_letters=dead_letters)
    overdue = Overdue(
        bus=bus,
        database=database,
        ledger=ledger,
        announcements=announcements,
        metrics=metrics,
        partitions=settings.partitions,
        patience=settings.turn_patience,
    )
    server = QueryServer(
        bus=bus,
        database=database,
        queries=Queries(ledger.reads),
        metrics=metrics,
        in_flight=settings.queries_in_flight,
    )
    accounts = Accounts(
        bus=bus, database=database, dead_letters=dead_letters, metrics=metrics, partitions=settings.partitions
    )
    stops = Stops(bus=bus, database=database, metrics=metrics, partitions=settings.partitions)
    sweep = Sweep(database=database)
    partitions = [
        Partition(
            number,
            settings.partitions,
            bus=bus,
            database=database,
            ledger=ledger,
            committer=committer,
            dead_letters=dead_letters,
        )
        for number in range(settings.partitions)
    ]

    async def stop() -> None:
        await asyncio.gather(server.stop(), *(partition.stop() for partition in partitions))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            tasks.start("database", database.watch())
            tasks.start("catalogue", announcements.run())
            tasks.start("overdue turns", overdue.run())
            tasks.start("accounts", accounts.run())
            tasks.start("stops", stops.run())
            tasks.start("sweep", sweep.run())
            tasks.start("queries", server.run())
            tasks.start("notices", notices.run())
            for number, partition in enumerate(partitions):
                tasks.start(f"partition {number}", partition.run())
            try:
                yield tasks
            finally:
                await stop()

    def missing() -> list[str]:
        return [*([] if bus.connected else ["broker"]), *database.missing]

    return Service(NAME, lifespan, missing, drain=stop)
