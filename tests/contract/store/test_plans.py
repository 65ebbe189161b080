"""Query plans: statements on the path of every message use an index, also while the tables are empty."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

BATCH = ", ".join(f"'{UUID(int=n)}'" for n in range(200))  # with so many ids PostgreSQL would rather scan
HOT = {
    "known messages": f"SELECT id FROM {{0}}chat_messages WHERE id IN ({BATCH})",
    "open turns": (
        "SELECT id FROM {0}turns WHERE session_id = '00000000-0000-4000-8000-000000000000' AND closed_at IS NULL"
    ),
    "changes after a number": (
        "SELECT id FROM {0}chat_messages WHERE session_id = '00000000-0000-4000-8000-000000000000'"
        " AND updated_seq > 7 ORDER BY updated_seq LIMIT 50"
    ),
    "a change to what was summed up": (
        "SELECT seq FROM {0}chat_messages WHERE session_id = '00000000-0000-4000-8000-000000000000'"
        " AND updated_seq > 7 AND seq <= 5 LIMIT 1"
    ),
    "commands applied before": "SELECT result FROM {0}applied_commands WHERE id = 'x'",
    "turns to be stopped": "SELECT id FROM {0}turns WHERE closed_at IS NULL AND stop_at <= '2026-11-23'",
    "sessions to be purged": (
        "SELECT id FROM {0}chat_sessions WHERE deleted_at < '2026-11-23' AND purged_at IS NULL"
        " ORDER BY deleted_at LIMIT 1"
    ),
    "a page of history": (
        "SELECT id FROM {0}chat_messages WHERE session_id = '00000000-0000-4000-8000-000000000000'"
        " AND seq < 7 ORDER BY seq DESC LIMIT 50"
    ),
}


@pytest.mark.parametrize("statement", HOT.values(), ids=HOT.keys())
async def test_statement_on_an_empty_table_uses_an_index(engine: AsyncEngine, statement: str) -> None:
    """A prepared statement keeps its first plan when the table has grown."""
    postgresql = engine.dialect.name == "postgresql"
    explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
    async with asyncio.timeout(20), engine.connect() as connection:
        rows = await connection.execute(text(explain + statement.format("chat." if postgresql else "")))
        plan = "\n".join(str(row) for row in rows)
    assert "Index" in plan if postgresql else "USING" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "SCAN " not in plan, plan
