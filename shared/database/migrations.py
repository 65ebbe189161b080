"""Migrations: one set of Alembic scripts for both dialects, run on a separate connection.

Scripts name no schema: on PostgreSQL the search path selects it, a SQLite file has none. The `migrations/env.py` of a
service only calls `run_scripts`. Alembic is imported inside of functions, because the import takes a third of a second
and a serving process only calls `is_current`.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import BLANK_SCHEMA, Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateSchema

from shared.database.engine import open_unlimited

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "alembic_version"
SCHEMA_EXISTS = text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")


async def upgrade(engine: AsyncEngine, scripts: Path, *, schema: str, revision: str = "head") -> None:
    """Migrate the database up to a revision, in one transaction, under a lock against concurrent migrations."""
    from alembic import command  # noqa: PLC0415 - see above

    await _migrate(engine, scripts, schema, lambda config: command.upgrade(config, revision))


async def downgrade(engine: AsyncEngine, scripts: Path, *, schema: str, revision: str = "base") -> None:
    """Migrate the database down to a revision, in one transaction."""
    from alembic import command  # noqa: PLC0415 - see above

    await _migrate(engine, scripts, schema, lambda config: command.downgrade(config, revision))


async def is_current(engine: AsyncEngine, scripts: Path, *, schema: str) -> bool:
    """Return whether the database has the newest revision, or an unknown one, which a later release created."""
    async with engine.execution_options(read_only=True).connect() as connection:
        found = await connection.run_sync(_revision, schema)
    if found is None:
        return False
    older, newest = _revisions(scripts)
    return found == newest or found not in older


async def differences(
    engine: AsyncEngine, metadata: MetaData, *, schema: str, apart: tuple[str, ...] = ()
) -> list[Any]:
    """Return the changes with which Alembic would make the database match `metadata`, for tests of migrations.

    Tables and indexes whose names start with a prefix in `apart` are ignored: SQLAlchemy cannot describe them.
    """
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - see above
    from alembic.migration import MigrationContext  # noqa: PLC0415

    bare = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        # None means no schema, which the type stubs omit. Foreign keys would otherwise keep the old schema.
        table.to_metadata(bare, schema=cast("Any", None), referred_schema_fn=lambda *_: cast("Any", BLANK_SCHEMA))

    def compare(connection: Connection) -> list[Any]:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "version_table": VERSION_TABLE,
            "include_name": lambda name, kind, _parents: (
                kind not in {"table", "index"} or name is None or not name.startswith(apart)
            ),
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), bare))

    async with _connection(engine, schema) as connection:
        return await connection.run_sync(compare)


def run_scripts() -> None:
    """Run the scripts on the connection that `upgrade` opened; called by every `env.py`."""
    from alembic import context  # noqa: PLC0415 - see above

    context.configure(
        connection=context.config.attributes["connection"], version_table=VERSION_TABLE, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate(engine: AsyncEngine, scripts: Path, schema: str, work: Callable[[Config], None]) -> None:
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        work(config)

    async with _connection(engine, schema) as connection:
        await connection.run_sync(run)


@asynccontextmanager
async def _connection(engine: AsyncEngine, schema: str) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction in the schema, under an advisory lock on PostgreSQL (SQLite locks its file)."""
    if engine.dialect.name != "postgresql":
        async with engine.begin() as connection:
            yield connection
        return
    # Not from the pool: a migration may exceed the statement timeout, and the dialect is modified below.
    own = open_unlimited(engine)
    try:
        async with own.begin() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(f"backchat/{schema}".encode())}
            )
            # CREATE SCHEMA IF NOT EXISTS requires the right to create one, even if the schema exists.
            if not await connection.scalar(SCHEMA_EXISTS, {"schema": schema}):
                await connection.execute(CreateSchema(schema))
            await connection.execute(text(f'SET LOCAL search_path TO "{schema}"'))
            connection.dialect.default_schema_name = schema  # in which Alembic looks for tables without a schema
            yield connection
    finally:
        await own.dispose()


def _revisions(scripts: Path) -> tuple[set[str], str]:
    """Return the superseded revisions and the newest one; the scripts must form one line.

    Raises:
        ValueError: the scripts have branches, or there are none.
    """
    named: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for script in (scripts / "versions").glob("*.py"):
        for statement in ast.parse(script.read_bytes()).body:
            match statement:
                case ast.Assign([ast.Name("revision" | "down_revision" as name)], ast.Constant(str(value))):
                    named[name].add(value)
    [newest] = named["revision"] - named["down_revision"]
    return named["down_revision"], newest


def _revision(connection: Connection, schema: str) -> str | None:
    where = schema if connection.dialect.name == "postgresql" else None
    if not inspect(connection).has_table(VERSION_TABLE, schema=where):
        return None
    name = VERSION_TABLE if where is None else f'"{schema}".{VERSION_TABLE}'
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {name}"))  # noqa: S608 - both are constants
    return found
