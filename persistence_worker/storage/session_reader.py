"""Reads without locks: sessions, pages of messages, lists, and rows for contexts. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Select, select

from persistence_worker.domain.context import SEQ_MAX, ContextRow, RowRange
from persistence_worker.domain.state import SessionState
from persistence_worker.storage import page_queries as queries
from persistence_worker.storage.dialect_sql import CONTEXTS, is_among
from persistence_worker.storage.mappers import message_of
from persistence_worker.storage.page_queries import SESSIONS
from persistence_worker.storage.session_store import SessionStore
from shared.contracts.turns import CONTEXT_BYTES_MAX
from shared.contracts.views import ActiveTurn, Message

CONTEXT_READ_BYTES = 2 * CONTEXT_BYTES_MAX  # of contents: more than fits, so that a context that is cut is full


class SessionReader:
    """Statements for one dialect, built once, because building one costs more than running it."""

    def __init__(self, store: SessionStore, dialect: str) -> None:
        self._store = store
        self._postgresql = dialect == "postgresql"
        self._contexts = CONTEXTS[dialect]
        self._heads = select(SESSIONS.id, SESSIONS.last_seq).where(
            is_among(SESSIONS.id, "ids", dialect), SESSIONS.deleted_at.is_(None)
        )

    def session(
        self, connection: Connection, session_id: UUID, user_id: str | None = None
    ) -> tuple[SessionState, int] | None:
        """Return a session with its members, and the read mark of `user_id` (0 without a user).

        `None` if the session is missing or deleted, or the user is not a member.
        """
        statement = queries.ANY_SESSION if user_id is None else queries.OWN_SESSION
        row = connection.execute(statement, {"session": session_id, "user": user_id}).one_or_none()
        if row is None:
            return None
        session = SessionState(*row[:-1])
        self._store.load_members(connection, {session.id: session})
        return session, int(row[-1])

    def sessions_of(
        self, connection: Connection, user_id: str, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[tuple[SessionState, int]]:
        """Return sessions of a user with read marks, latest activity first, after a time of activity and an id."""
        values: dict[str, Any] = {"user": user_id, "limit": limit}
        if after is not None:
            values |= {"moment": after[0], "last": after[1]}
        statement = queries.SESSIONS_OF_USER if after is None else queries.SESSIONS_OF_USER_AFTER
        found = [(SessionState(*row[:-1]), int(row[-1])) for row in connection.execute(statement, values)]
        self._store.load_members(connection, {session.id: session for session, _ in found})
        return found

    def newest(
        self, connection: Connection, session_id: UUID, below: int | None, limit: int, room: int
    ) -> list[Message]:
        """Return the newest messages, below a `seq` if given, ascending by `seq`; contents within `room` bytes."""
        number = SEQ_MAX if below is None else below
        return self._page(connection, queries.BEFORE_SEQ, session_id, number, limit, room)[::-1]

    def following(self, connection: Connection, session_id: UUID, after: int, limit: int, room: int) -> list[Message]:
        """Return the messages after a `seq`, ascending by `seq`; contents within `room` bytes."""
        return self._page(connection, queries.AFTER_SEQ, session_id, after, limit, room)

    def changed(self, connection: Connection, session_id: UUID, after: int, limit: int, room: int) -> list[Message]:
        """Return the messages changed after a number, ascending by `updated_seq`; contents within `room` bytes."""
        return self._page(connection, queries.AFTER_UPDATED_SEQ, session_id, after, limit, room)

    @staticmethod
    def _page(
        connection: Connection, statement: Select[Any], session_id: UUID, number: int, limit: int, room: int
    ) -> list[Message]:
        values = {"session": session_id, "number": number, "limit": limit, "room": room}
        return [message_of(row) for row in connection.execute(statement, values)]

    def message(self, connection: Connection, session_id: UUID, message_id: UUID) -> Message | None:
        """Return a message of a session."""
        row = connection.execute(queries.ONE_MESSAGE, {"session": session_id, "message": message_id}).one_or_none()
        return None if row is None else message_of(row)

    def has_later(self, connection: Connection, session_id: UUID, column: str, number: int) -> bool:
        """Whether the session has a message whose `seq` or `updated_seq` (`column`) is above a number."""
        return connection.scalar(queries.LATER[column], {"session": session_id, "number": number}) is not None

    def has_earlier(self, connection: Connection, session_id: UUID, number: int) -> bool:
        """Whether the session has a message whose `seq` is below a number."""
        return connection.scalar(queries.EARLIER, {"session": session_id, "number": number}) is not None

    def open_turns(self, connection: Connection, session_id: UUID) -> list[ActiveTurn]:
        """Return the open turns of a session."""
        rows = connection.execute(queries.OPEN_TURNS_OF_SESSION, {"session": session_id})
        return [ActiveTurn(message_id=row[0], chatbot_id=row[1]) for row in rows]

    def is_open(self, connection: Connection, session_id: UUID, message_id: UUID) -> bool:
        """Whether a turn is open."""
        return connection.scalar(queries.OPEN_TURN, {"session": session_id, "turn": message_id}) is not None

    def count_open_turns(self, connection: Connection) -> int:
        """Return the number of open turns of all sessions."""
        return connection.scalar(queries.OPEN_TURN_COUNT) or 0

    def heads(self, connection: Connection, session_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the newest number of each session; missing and deleted sessions have no entry."""
        return {row[0]: row[1] for row in connection.execute(self._heads, {"ids": list(session_ids)})}

    def context_rows(self, connection: Connection, ranges: Sequence[RowRange]) -> list[list[ContextRow]]:
        """Return the rows of each range, read by one statement, without superseded and empty messages."""
        found: list[list[ContextRow]] = [[] for _ in ranges]
        if not ranges:
            return found
        values = self._arrays(ranges) if self._postgresql else self._json(ranges)
        rows = connection.execute(self._contexts, values | {"bytes": CONTEXT_READ_BYTES})
        for n, seq, message_id, sender_type, sender_id, content in rows:
            found[n].append(ContextRow(seq, message_id, sender_type, sender_id, content))
        return found

    @staticmethod
    def _arrays(ranges: Sequence[RowRange]) -> dict[str, Any]:
        return {
            "sessions": [rows.session_id for rows in ranges],
            "above": [rows.above for rows in ranges],
            "below": [rows.below for rows in ranges],
            "limits": [rows.limit for rows in ranges],
        }

    @staticmethod
    def _json(ranges: Sequence[RowRange]) -> dict[str, Any]:
        rows = [[each.session_id.hex, each.above, each.below] for each in ranges]
        return {"ranges": orjson.dumps(rows).decode(), "limit": max(each.limit for each in ranges)}
