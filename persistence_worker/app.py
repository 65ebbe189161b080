"""Composition root of the persistence worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.activity_notifier import ActivityNotifier
from persistence_worker.commands.context_builder import ContextBuilder
from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.commands.group_commit import GroupCommitter
from persistence_worker.commands.partition_consumer import PartitionConsumer
from persistence_worker.commands.transaction import TransactionRunner
from persistence_worker.consumers.account_erasure import AccountErasure
from persistence_worker.consumers.catalogue_updates import CatalogueUpdates
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.jobs.overdue_turns import OverdueTurns
from persistence_worker.jobs.sweep import Sweep
from persistence_worker.jobs.unanswered_stops import UnansweredStops
from persistence_worker.jobs.word_index import WordIndex
from persistence_worker.metrics import Metrics
from persistence_worker.reads.queries import Queries
from persistence_worker.reads.query_server import QueryServer
from persistence_worker.settings import PersistenceSettings
from persistence_worker.storage.database import MIGRATIONS, Database, refuse_other_partitions
from persistence_worker.storage.session_reader import SessionReader
from persistence_worker.storage.session_store import SessionStore
from persistence_worker.storage.summary_store import SummaryStore
from persistence_worker.storage.tables import SCHEMA
from shared.bus.port import Bus, missing_of
from shared.database import migrations
from shared.runtime.service import Service, Tasks

NAME = "persistence_worker"


async def migrate(engine: AsyncEngine) -> None:
    """Migrate the schema to this release."""
    await migrations.upgrade(engine, MIGRATIONS, schema=SCHEMA)


async def check_partitions(settings: PersistenceSettings, *, engine: AsyncEngine) -> None:
    """Check, before anything else is opened, that the database was created with this number of partitions.

    Raises:
        SystemExit: it was created with another number (exit code 2).
    """
    await refuse_other_partitions(engine, settings.partitions)


def build(settings: PersistenceSettings, *, bus: Bus, engine: AsyncEngine, registry: CollectorRegistry) -> Service:
    """Build the service. It starts without a schema, and waits until another process has migrated it."""
    metrics = Metrics(registry)
    partitions = settings.partitions
    catalogue = Catalogue()
    database = Database(engine, partitions)
    store = SessionStore(database.dialect)
    reader = SessionReader(store, database.dialect)
    contexts = ContextBuilder(reader, SummaryStore(database.dialect), catalogue)
    limits = Limits(chatbots=settings.chatbots_max, users=settings.users_max)
    runner = TransactionRunner(database, catalogue, contexts, limits=limits)
    activity = ActivityNotifier(bus=bus, partitions=partitions)
    committer = GroupCommitter(bus=bus, runner=runner, activity=activity, metrics=metrics, partitions=partitions)
    dead_letters = DeadLetterPublisher(bus, metrics, partitions)
    catalogue_updates = CatalogueUpdates(bus=bus, database=database, catalogue=catalogue, dead_letters=dead_letters)
    account_erasure = AccountErasure(
        bus=bus, database=database, dead_letters=dead_letters, metrics=metrics, partitions=partitions
    )
    overdue_turns = OverdueTurns(
        bus=bus,
        database=database,
        store=store,
        reader=reader,
        contexts=contexts,
        catalogue=catalogue_updates,
        metrics=metrics,
        partitions=partitions,
        patience=settings.turn_patience,
    )
    unanswered_stops = UnansweredStops(bus=bus, database=database, metrics=metrics, partitions=partitions)
    sweep = Sweep(database=database)
    word_index = WordIndex(database=database)
    server = QueryServer(
        bus=bus, database=database, queries=Queries(reader), metrics=metrics, in_flight=settings.queries_in_flight
    )
    consumers = [
        PartitionConsumer(
            number,
            partitions,
            bus=bus,
            database=database,
            runner=runner,
            committer=committer,
            dead_letters=dead_letters,
        )
        for number in range(partitions)
    ]

    async def stop() -> None:
        await asyncio.gather(server.stop(), *(consumer.stop() for consumer in consumers))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            tasks.start("database", database.watch())
            tasks.start("catalogue updates", catalogue_updates.run())
            tasks.start("overdue turns", overdue_turns.run())
            tasks.start("account erasure", account_erasure.run())
            tasks.start("unanswered stops", unanswered_stops.run())
            tasks.start("sweep", sweep.run())
            tasks.start("word index", word_index.run())
            tasks.start("queries", server.run())
            tasks.start("activity", activity.run())
            for number, consumer in enumerate(consumers):
                tasks.start(f"partition {number}", consumer.run())
            try:
                yield tasks
            finally:
                await stop()

    def missing() -> list[str]:
        return [*missing_of(bus), *database.missing]

    return Service(NAME, lifespan, missing, drain=stop)
