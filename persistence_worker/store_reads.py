"""What is read without locks: pages, lists and contexts. Each function runs inside its caller's snapshot.

A page is cut by bytes in the database, so that no answer ever pulls more than it may show: only rows
whose contents, summed in the page's order, still fit come over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger

from persistence_worker.state import SessionState
from persistence_worker.statements import CONTEXTS
from persistence_worker.store import MESSAGE_COLUMNS, SESSION_COLUMNS, Store, among
from persistence_worker.tables import chat_messages, chat_sessions, session_users, turns
from persistence_worker.turns import ContextRow, Want
from shared.contracts.turns import CONTEXT_BYTES_MAX
from shared.contracts.views import ActiveTurn, ErrorView, Message

CONTEXT_READ_BYTES = 2 * CONTEXT_BYTES_MAX  # of contents: more than fits, so that what does not is seen to be cut


class octets(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Bytes of a text in UTF-8 (PostgreSQL answers without unpacking a large one)."""

    type = BigInteger()
    inherit_cache = True


@compiles(octets, "postgresql")
def _octets(element: octets, compiler: SQLCompiler, **more: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **more)})"


@compiles(octets, "sqlite")
def _octets_sqlite(element: octets, compiler: SQLCompiler, **more: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **more)} AS BLOB))"


class Reads:
    """The read side's statements for one dialect."""

    def __init__(self, store: Store, dialect: str) -> None:
        self._store = store
        self._contexts = CONTEXTS[dialect]
        self._postgresql = dialect == "postgresql"
        self._heads = select(chat_sessions.c.id, chat_sessions.c.last_seq).where(
            among(chat_sessions.c.id, "ids", dialect), chat_sessions.c.deleted_at.is_(None)
        )

    def session(
        self, connection: Connection, session_id: UUID, user_id: str | None = None
    ) -> tuple[SessionState, int] | None:
        """A session with its members and the user's `read_seq`; none if missing, deleted or not that user's."""
        query = select(*(chat_sessions.c[n] for n in SESSION_COLUMNS), session_users.c.read_seq).where(
            chat_sessions.c.id == session_id, chat_sessions.c.deleted_at.is_(None)
        )
        joined = and_(session_users.c.session_id == chat_sessions.c.id, session_users.c.user_id == user_id)
        row = connection.execute(
            query.join_from(chat_sessions, session_users, joined, isouter=user_id is None)
        ).one_or_none()
        if row is None:
            return None
        session = SessionState(*row[:-1])
        self._store.load_members(connection, {session.id: session})
        return session, row[-1] or 0

    def sessions_of(
        self, connection: Connection, user_id: str, after: tuple[Any, UUID] | None, most: int
    ) -> list[tuple[SessionState, int]]:
        """A user's sessions, newest activity first, from the place `after` on."""
        query = (
            select(*(chat_sessions.c[n] for n in SESSION_COLUMNS), session_users.c.read_seq)
            .join_from(session_users, chat_sessions, session_users.c.session_id == chat_sessions.c.id)
            .where(session_users.c.user_id == user_id, chat_sessions.c.deleted_at.is_(None))
            .order_by(chat_sessions.c.updated_at.desc(), chat_sessions.c.id)
            .limit(most)
        )
        if after is not None:
            moment, last = after
            query = query.where(
                or_(
                    chat_sessions.c.updated_at < moment,
                    and_(chat_sessions.c.updated_at == moment, chat_sessions.c.id > last),
                )
            )
        found = [(SessionState(*row[:-1]), int(row[-1])) for row in connection.execute(query)]
        self._store.load_members(connection, {session.id: session for session, _ in found})
        return found

    def newest(
        self, connection: Connection, session_id: UUID, below: int | None, most: int, most_bytes: int
    ) -> list[Message]:
        """The newest messages, or those just before a place; ascending by `seq`."""
        where = [] if below is None else [chat_messages.c.seq < below]
        return self._page(connection, session_id, where, "seq", most, most_bytes, newest_first=True)[::-1]

    def following(
        self, connection: Connection, session_id: UUID, after: int, most: int, most_bytes: int
    ) -> list[Message]:
        """The messages just after a place; ascending by `seq`."""
        where = [chat_messages.c.seq > after]
        return self._page(connection, session_id, where, "seq", most, most_bytes)

    def changed(
        self, connection: Connection, session_id: UUID, after: int, most: int, most_bytes: int
    ) -> list[Message]:
        """The messages changed after a number; ascending by `updated_seq`."""
        where = [chat_messages.c.updated_seq > after]
        return self._page(connection, session_id, where, "updated_seq", most, most_bytes)

    def _page(
        self,
        connection: Connection,
        session_id: UUID,
        where: list[ColumnElement[bool]],
        by: str,
        most: int,
        most_bytes: int,
        *,
        newest_first: bool = False,
    ) -> list[Message]:
        """Those first rows whose contents together have at most so many bytes, and the very first in any case."""

        def order(table: FromClause) -> ColumnElement[Any]:
            return table.c[by].desc() if newest_first else table.c[by].asc()

        rows = (
            select(*(chat_messages.c[n] for n in MESSAGE_COLUMNS))
            .where(chat_messages.c.session_id == session_id, *where)
            .order_by(order(chat_messages))
            .limit(most)
            .subquery()
        )
        size = octets(rows.c.content)
        total = func.sum(size).over(order_by=order(rows))
        summed = select(*rows.c, total.label("total"), size.label("size")).subquery()
        fits = or_(summed.c.total == summed.c.size, summed.c.total <= most_bytes)
        query = select(*(summed.c[n] for n in MESSAGE_COLUMNS)).where(fits).order_by(order(summed))
        return [_message(row) for row in connection.execute(query)]

    def is_beyond(self, connection: Connection, session_id: UUID, by: str, number: int) -> bool:
        """Whether the session has a message whose `by` (`seq` or `updated_seq`) is above a number."""
        numbers = chat_messages.c[by]
        query = select(numbers).where(chat_messages.c.session_id == session_id, numbers > number).limit(1)
        return connection.scalar(query) is not None

    def is_before(self, connection: Connection, session_id: UUID, number: int) -> bool:
        """Whether the session has a message below a place."""
        numbers = chat_messages.c.seq
        query = select(numbers).where(chat_messages.c.session_id == session_id, numbers < number).limit(1)
        return connection.scalar(query) is not None

    def active(self, connection: Connection, session_id: UUID) -> list[ActiveTurn]:
        """The turns of a session that are open."""
        query = (
            select(turns.c.id, turns.c.chatbot_id)
            .where(turns.c.session_id == session_id, turns.c.closed_at.is_(None))
            .order_by(turns.c.chatbot_id)
        )
        return [ActiveTurn(message_id=row[0], chatbot_id=row[1]) for row in connection.execute(query)]

    def is_open(self, connection: Connection, session_id: UUID, message_id: UUID) -> bool:
        """Whether a turn waits for its reply."""
        query = select(turns.c.id).where(
            turns.c.id == message_id, turns.c.session_id == session_id, turns.c.closed_at.is_(None)
        )
        return connection.scalar(query) is not None

    def open_turns(self, connection: Connection) -> int:
        """How many turns wait for their reply."""
        return connection.scalar(select(func.count()).where(turns.c.closed_at.is_(None)).select_from(turns)) or 0

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


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        session_id=row.session_id,
        seq=row.seq,
        updated_seq=row.updated_seq,
        sender_type=row.sender_type,
        sender_id=row.sender_id,
        content=row.content,
        created_at=row.created_at,
        client_message_id=row.client_message_id,
        reply_to=row.reply_to,
        status=row.status,
        error=ErrorView(code=row.error_code, message=row.error_message or "") if row.error_code else None,
        superseded_by=row.superseded_by,
    )
