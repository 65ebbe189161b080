"""What is read without locks: pages, lists and contexts. Each function runs inside its caller's snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Select, select

from persistence_worker.domain.context import SEQ_MAX, ContextRow, Want
from persistence_worker.domain.state import SessionState
from persistence_worker.storage.dialect_sql import CONTEXTS
from persistence_worker.storage.mappers import message_of
from persistence_worker.storage.page_queries import (
    ACTIVE,
    ANY_SESSION,
    BEFORE,
    BEYOND,
    CHANGED,
    FOLLOWING,
    NEWEST,
    OPEN,
    OPEN_TURNS,
    OWN_SESSION,
    SESSIONS,
    SESSIONS_AFTER,
    SESSIONS_OF,
)
from persistence_worker.storage.session_store import Store, among
from shared.contracts.turns import CONTEXT_BYTES_MAX
from shared.contracts.views import ActiveTurn, Message

CONTEXT_READ_BYTES = 2 * CONTEXT_BYTES_MAX  # of contents: more than fits, so that what does not is seen to be cut


class Reads:
    """The read side's statements for one dialect, built once: building one costs more than running it."""

    def __init__(self, store: Store, dialect: str) -> None:
        self._store = store
        self._postgresql = dialect == "postgresql"
        self._contexts = CONTEXTS[dialect]
        self._heads = select(SESSIONS.id, SESSIONS.last_seq).where(
            among(SESSIONS.id, "ids", dialect), SESSIONS.deleted_at.is_(None)
        )

    def session(
        self, connection: Connection, session_id: UUID, user_id: str | None = None
    ) -> tuple[SessionState, int] | None:
        """A session with its members and the user's `read_seq`; none if missing, deleted or not that user's."""
        statement = ANY_SESSION if user_id is None else OWN_SESSION
        row = connection.execute(statement, {"session": session_id, "user": user_id}).one_or_none()
        if row is None:
            return None
        session = SessionState(*row[:-1])
        self._store.load_members(connection, {session.id: session})
        return session, int(row[-1])

    def sessions_of(
        self, connection: Connection, user_id: str, after: tuple[datetime, UUID] | None, most: int
    ) -> list[tuple[SessionState, int]]:
        """A user's sessions, newest activity first, from the place `after` on."""
        values: dict[str, Any] = {"user": user_id, "most": most}
        if after is not None:
            values |= {"moment": after[0], "last": after[1]}
        rows = connection.execute(SESSIONS_OF if after is None else SESSIONS_AFTER, values)
        found = [(SessionState(*row[:-1]), int(row[-1])) for row in rows]
        self._store.load_members(connection, {session.id: session for session, _ in found})
        return found

    def newest(
        self, connection: Connection, session_id: UUID, below: int | None, most: int, room: int
    ) -> list[Message]:
        """The newest messages, or those just before a place; ascending by `seq`; contents within `room` bytes."""
        number = SEQ_MAX if below is None else below
        return self._page(connection, NEWEST, session_id, number, most, room)[::-1]

    def following(self, connection: Connection, session_id: UUID, after: int, most: int, room: int) -> list[Message]:
        """The messages just after a place; ascending by `seq`."""
        return self._page(connection, FOLLOWING, session_id, after, most, room)

    def changed(self, connection: Connection, session_id: UUID, after: int, most: int, room: int) -> list[Message]:
        """The messages changed after a number; ascending by `updated_seq`."""
        return self._page(connection, CHANGED, session_id, after, most, room)

    @staticmethod
    def _page(
        connection: Connection, statement: Select[Any], session_id: UUID, number: int, most: int, room: int
    ) -> list[Message]:
        values = {"session": session_id, "number": number, "most": most, "room": room}
        return [message_of(row) for row in connection.execute(statement, values)]

    def is_beyond(self, connection: Connection, session_id: UUID, by: str, number: int) -> bool:
        """Whether the session has a message whose `by` (`seq` or `updated_seq`) is above a number."""
        return connection.scalar(BEYOND[by], {"session": session_id, "number": number}) is not None

    def is_before(self, connection: Connection, session_id: UUID, number: int) -> bool:
        """Whether the session has a message below a place."""
        return connection.scalar(BEFORE, {"session": session_id, "number": number}) is not None

    def active(self, connection: Connection, session_id: UUID) -> list[ActiveTurn]:
        """The turns of a session that are open."""
        rows = connection.execute(ACTIVE, {"session": session_id})
        return [ActiveTurn(message_id=row[0], chatbot_id=row[1]) for row in rows]

    def is_open(self, connection: Connection, session_id: UUID, message_id: UUID) -> bool:
        """Whether a turn waits for its reply."""
        return connection.scalar(OPEN, {"session": session_id, "turn": message_id}) is not None

    def open_turns(self, connection: Connection) -> int:
        """How many turns wait for their reply."""
        return connection.scalar(OPEN_TURNS) or 0

    def heads(self, connection: Connection, session_ids: Sequence[UUID]) -> dict[UUID, int]:
        """The newest number of each session there is."""
        return {row[0]: row[1] for row in connection.execute(self._heads, {"ids": list(session_ids)})}

    def contexts(self, connection: Connection, wants: Sequence[Want]) -> list[list[ContextRow]]:
        """The rows of each want, in one statement; superseded and empty messages left out."""
        found: list[list[ContextRow]] = [[] for _ in wants]
        if not wants:
            return found
        values = self._arrays(wants) if self._postgresql else self._json(wants)
        rows = connection.execute(self._contexts, values | {"bytes": CONTEXT_READ_BYTES})
        for n, seq, message_id, sender_type, sender_id, content in rows:
            found[n].append(ContextRow(seq, message_id, sender_type, sender_id, content))
        return found

    @staticmethod
    def _arrays(wants: Sequence[Want]) -> dict[str, Any]:
        return {
            "sessions": [want.session_id for want in wants],
            "above": [want.above for want in wants],
            "below": [want.below for want in wants],
            "most": [want.most for want in wants],
        }

    @staticmethod
    def _json(wants: Sequence[Want]) -> dict[str, Any]:
        rows = [[want.session_id.hex, want.above, want.below] for want in wants]
        return {"wants": orjson.dumps(rows).decode(), "most": max(want.most for want in wants)}
