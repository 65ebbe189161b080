"""The condition on a list, on SQLite: one statement text for all lengths, and by the index of the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, Uuid, create_engine, event, insert, select

from persistence_worker.storage.dialect_sql import is_among

METADATA = MetaData()
BY_ID = Table("by_id", METADATA, Column("id", Uuid, primary_key=True))
BY_NAME = Table("by_name", METADATA, Column("id", Text, primary_key=True))
IDS = [UUID(int=number) for number in range(300)]
NAMES = [f'name "{number}" \N{SNOWMAN}' for number in range(300)]


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        connection.execute(insert(BY_ID), [{"id": each} for each in IDS])
        connection.execute(insert(BY_NAME), [{"id": each} for each in NAMES])
        yield connection
    engine.dispose()


@pytest.mark.parametrize(("table", "keys", "stranger"), [(BY_ID, IDS, UUID(int=999)), (BY_NAME, NAMES, "nobody")])
def test_rows_of_a_list_are_found_with_one_statement_by_index(
    connection: Connection, table: Table, keys: list[Any], stranger: Any
) -> None:
    statement = select(table.c.id).where(is_among(table.c.id, "ids", "sqlite"))
    texts = set()
    event.listen(connection, "before_cursor_execute", lambda *arguments: texts.add(arguments[2]))
    for count in (0, 1, 7, 300):
        found = connection.scalars(statement, {"ids": [*keys[:count], stranger]}).all()
        assert sorted(found, key=str) == sorted(keys[:count], key=str)
    assert connection.scalars(statement, {"ids": []}).all() == []
    [text] = texts
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[]",)).all()
    assert any(row[3].startswith("SEARCH by_") for row in plan), plan
