"""Answers queries, and records those of services about sessions of which they are no members."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from persistence_worker.domain.state import Access
from persistence_worker.reads.queries import Queries
from persistence_worker.storage import access_store
from persistence_worker.storage.database import Database
from shared.contracts import queries as q
from shared.contracts.payload import Model, Payload, utc_now

# What an access is called in the records.
RECORDED: dict[type[Payload], str] = {
    q.JoinSession: "follow",
    q.ReadSession: "session",
    q.ReadMessage: "message",
    q.ReadAnswer: "answer",
    q.ReadHistory: "messages",
}


async def answer_recorded(database: Database, queries: Queries, query: Payload) -> Model:
    """Return the result of a query. An access that must be recorded is recorded before.

    Raises:
        BackchatError: as `Queries.answer`; nothing is recorded.
        Exception: of the database.
    """
    what = RECORDED.get(type(query))
    if what is None or getattr(query, "scopes", None) is None:
        return await database.read(lambda connection: queries.answer(connection, query))
    result, access = await database.read(lambda connection: _answered(connection, queries, query, what))
    if access is not None:
        await database.write(lambda connection: access_store.record(connection, [access], utc_now()))
    return result


def _answered(connection: Connection, queries: Queries, query: Any, what: str) -> tuple[Model, Access | None]:
    result = queries.answer(connection, query)
    if access_store.is_member(connection, query.session_id, query.user_id):
        return result, None
    return result, Access(query.user_id, query.session_id, what)
