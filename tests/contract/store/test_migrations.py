"""Migrations: up, down and up again, to the same tables as the code uses."""

from __future__ import annotations

import asyncio

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.database import MIGRATIONS
from persistence_worker.storage.tables import SCHEMA, metadata
from shared.database import migrations


async def tables(engine: AsyncEngine) -> set[str]:
    where = SCHEMA if engine.dialect.name == "postgresql" else None
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda c: inspect(c).get_table_names(schema=where)))


async def test_migrations_create_exactly_the_tables_of_the_code(engine: AsyncEngine) -> None:
    """Except for the full-text index."""
    assert (
        await migrations.differences(engine, metadata, schema=SCHEMA, apart=("message_words_gin", "message_words_fts"))
        == []
    )


async def test_migrations_can_be_reverted_and_repeated(engine: AsyncEngine) -> None:
    assert await migrations.is_current(engine, MIGRATIONS, schema=SCHEMA)
    await migrations.downgrade(engine, MIGRATIONS, schema=SCHEMA)
    assert await tables(engine) == {"alembic_version"}
    assert not await migrations.is_current(engine, MIGRATIONS, schema=SCHEMA)
    await app.migrate(engine)
    assert {"chat_sessions", "chat_messages", "chatbots", "session_users", "session_chatbots"} < await tables(engine)


async def test_two_processes_may_migrate_at_the_same_time(empty_engine: AsyncEngine) -> None:
    """The second one waits for the first one."""
    await asyncio.gather(app.migrate(empty_engine), app.migrate(empty_engine))
    assert await migrations.is_current(empty_engine, MIGRATIONS, schema=SCHEMA)


async def test_unmigrated_database_is_not_current(empty_engine: AsyncEngine) -> None:
    """So that a worker waits for the migration."""
    assert not await migrations.is_current(empty_engine, MIGRATIONS, schema=SCHEMA)
