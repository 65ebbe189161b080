"""SQL of the accesses of services to sessions of which they are no members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, exists, insert, select

from persistence_worker.domain.state import Access
from persistence_worker.storage.tables import service_accesses, session_users


def is_member(connection: Connection, session_id: UUID, user_id: str) -> bool:
    """Return whether a user or a service is a member of a session."""
    own = (session_users.c.session_id == session_id) & (session_users.c.user_id == user_id)
    return bool(connection.scalar(select(exists().where(own))))


def record(connection: Connection, found: Sequence[Access], at: datetime) -> None:
    """Record accesses."""
    connection.execute(insert(service_accesses), [{"id": uuid4(), "at": at, **access._asdict()} for access in found])


def accesses(
    connection: Connection, *, service: str | None, session_id: UUID | None, limit: int
) -> list[tuple[datetime, Access]]:
    """Return the newest accesses, the oldest of them first, of one service or session if given."""
    table = service_accesses.c
    query = select(table.at, table.service, table.session_id, table.what).order_by(table.at.desc(), table.id)
    if service is not None:
        query = query.where(table.service == service)
    if session_id is not None:
        query = query.where(table.session_id == session_id)
    return [(row[0], Access(*row[1:])) for row in connection.execute(query.limit(limit))][::-1]
