"""The migrations: up, down and up again; nothing differs from the tables that the code uses."""

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


async def test_migrations_make_exactly_the_tables(engine: AsyncEngine) -> None:
    """Alembic finds nothing to change between metadata and database, the index of words apart."""
    assert await migrations.differences(engine, metadata, schema=SCHEMA, apart=("chat_messages_words",)) == []


async def test_down_and_up_again(engine: AsyncEngine) -> None:
    """Each step can be taken back, and leaves nothing."""
    assert await migrations.is_current(engine, MIGRATIONS, schema=SCHEMA)
    await migrations.downgrade(engine, MIGRATIONS, schema=SCHEMA)
    assert await tables(engine) == {"alembic_version"}
    assert not await migrations.is_current(engine, MIGRATIONS, schema=SCHEMA)
    await app.migrate(engine)
    assert {"chat_sessions", "chat_messages", "chatbots", "session_users", "session_chatbots"} < await tables(engine)


async def test_two_may_migrate_at_once(empty_engine: AsyncEngine) -> None:
    """The second one waits and finds everything done."""
    await asyncio.gather(app.migrate(empty_engine), app.migrate(empty_engine))
    assert await migrations.is_current(empty_engine, MIGRATIONS, schema=SCHEMA)


async def test_an_unmigrated_database_is_not_current(empty_engine: AsyncEngine) -> None:
    """A worker waits for the migration instead of failing."""
    assert not await migrations.is_current(empty_engine, MIGRATIONS, schema=SCHEMA)
