"""What a batch writes and what it must read under lock; plain statements, built once. Never commits.

Everything takes a `Connection` in a transaction that the caller ends. Arrays, not lists of parameters, so
that a statement's text (and its plan) is the same for every batch size; on SQLite each size would be one more
prepared statement that its driver keeps, up to 7 MiB a connection, and twice the time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    select,
    update,
)

from persistence_worker.domain.state import Loaded, SessionState, Turn
from persistence_worker.storage.bulk import BulkInsert, BulkUpdate
from persistence_worker.storage.dialect_sql import MEMBERS
from persistence_worker.storage.mappers import (
    MESSAGE_COLUMNS,
    SESSION_CHANGES,
    SESSION_COLUMNS,
    TURN_CHANGES,
    TURN_COLUMNS,
    message_row,
    session_change,
    session_row,
    turn_change,
    turn_of,
    turn_row,
)
from persistence_worker.storage.tables import (
    chat_messages,
    chat_sessions,
    session_chatbots,
    session_users,
    turns,
)
from shared.contracts.views import Message

FIRST_WORDS = 400  # code points of a message that a title is made from


class JsonArray(TypeDecorator[Sequence[UUID | str]]):
    """Ids or texts as one JSON text, ids in the form in which SQLite keeps them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[UUID | str] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Encode them."""
        return orjson.dumps([each.hex if isinstance(each, UUID) else each for each in value or ()]).decode()


def among(column: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """`column`, of UUIDs or texts, is one of the values bound as `name`."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    values = func.json_each(bindparam(name, type_=JsonArray)).table_valued("value")
    return column.in_(select(values.c.value))


class Store:
    """The write side's statements for one dialect."""

    def __init__(self, dialect: str) -> None:
        sessions = chat_sessions.c
        self._lock = (
            select(*(sessions[n] for n in SESSION_COLUMNS))
            .where(among(sessions.id, "ids", dialect))
            .order_by(sessions.id)
            .with_for_update()
        )
        self._members = MEMBERS[dialect]
        self._known = select(chat_messages.c.id, chat_messages.c.session_id).where(
            among(chat_messages.c.id, "ids", dialect)
        )
        earlier = chat_messages.alias("earlier")
        first = (
            select(func.min(earlier.c.seq))
            .where(earlier.c.session_id == sessions.id, earlier.c.sender_type == "user", earlier.c.content != "")
            .scalar_subquery()
        )
        self._first_words = (
            select(sessions.id, func.substr(chat_messages.c.content, 1, FIRST_WORDS), chat_messages.c.sender_id)
            .join_from(chat_sessions, chat_messages, chat_messages.c.session_id == sessions.id)
            .where(among(sessions.id, "ids", dialect), chat_messages.c.seq == first)
        )
        self._insert_session = BulkInsert(chat_sessions, SESSION_COLUMNS, dialect)
        self._insert_user = BulkInsert(session_users, ("session_id", "user_id", "joined_at", "read_seq"), dialect)
        self._insert_chatbot = BulkInsert(session_chatbots, ("session_id", "chatbot_id", "position"), dialect)
        self._update_session = BulkUpdate(chat_sessions, SESSION_CHANGES, dialect)
        self._insert_message = BulkInsert(chat_messages, MESSAGE_COLUMNS, dialect)
        self._insert_turn = BulkInsert(turns, TURN_COLUMNS, dialect)
        self._update_turn = BulkUpdate(turns, TURN_CHANGES, dialect)
        self._turns_published = (
            update(turns)
            .where(among(turns.c.id, "ids", dialect), turns.c.closed_at.is_(None))
            .values(published_at=bindparam("now"))
        )

    def load(self, connection: Connection, session_ids: Collection[UUID], message_ids: Collection[UUID]) -> Loaded:
        """Lock the sessions in id order and read what decides about commands for them."""
        loaded = Loaded()
        for row in connection.execute(self._lock, {"ids": list(session_ids)}):
            loaded.sessions[row[0]] = SessionState(*row)
        # After the lock, never in one statement with it: a wait for the lock would leave it at the old snapshot.
        self.load_members(connection, loaded.sessions)
        if message_ids:
            known = connection.execute(self._known, {"ids": list(message_ids)})
            loaded.known = {row[0]: row[1] for row in known}
        return loaded

    def load_members(self, connection: Connection, sessions: Mapping[UUID, SessionState]) -> None:
        """Read users (longest member first), chatbots (in their order) and open turns of these sessions."""
        if not sessions:
            return
        postgresql = self._members is MEMBERS["postgresql"]
        ids: Any = list(sessions) if postgresql else orjson.dumps([session_id.hex for session_id in sessions]).decode()
        for session_id, users, chatbots, open_turns in connection.execute(self._members, {"ids": ids}):
            session = sessions[session_id]
            session.users = orjson.loads(users)
            session.chatbots = orjson.loads(chatbots)
            for turn in map(turn_of, orjson.loads(open_turns)):
                session.turns[turn.chatbot_id] = turn

    def load_first_words(self, connection: Connection, sessions: Sequence[SessionState]) -> None:
        """Read the beginning of each session's first user message."""
        by_id = {session.id: session for session in sessions}
        for session_id, words, author in connection.execute(self._first_words, {"ids": list(by_id)}):
            by_id[session_id].first_words = (words, author)

    def overdue(self, connection: Connection, before: datetime, most: int) -> list[Turn]:
        """Lock open turns that were last published before a moment; those that another worker holds are left out."""
        query = (
            select(*(turns.c[n] for n in TURN_COLUMNS))
            .where(turns.c.closed_at.is_(None), turns.c.published_at < before, turns.c.stop_at.is_(None))
            .order_by(turns.c.published_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        return [turn_of(row) for row in connection.execute(query)]

    def turns_published(self, connection: Connection, turn_ids: Sequence[UUID], now: datetime) -> None:
        """Note that these are published; of a turn that a batch holds, nothing else is touched."""
        if turn_ids:
            connection.execute(self._turns_published, {"ids": list(turn_ids), "now": now})

    def save(
        self,
        connection: Connection,
        sessions: Iterable[SessionState],
        joined: Mapping[tuple[UUID, str], datetime],
        messages: Sequence[Message],
    ) -> None:
        """Write what changed: sessions first, since everything else refers to them."""
        new: list[SessionState] = []
        changed: list[SessionState] = []
        for session in sessions:
            if session.new:
                new.append(session)
            elif session.changed:
                changed.append(session)
        self._insert_session(connection, [session_row(session) for session in new])
        self._insert_user(connection, [(session_id, user, at, 0) for (session_id, user), at in joined.items()])
        self._insert_chatbot(connection, [(s.id, bot, n) for s in new for n, bot in enumerate(s.chatbots)])
        self._update_session(connection, [session_change(session) for session in changed])
        self._insert_message(connection, [message_row(message) for message in messages])

    def save_turns(self, connection: Connection, changed: Sequence[Turn]) -> None:
        """Close and change turns before new ones open: at most one is open for a chatbot in a session."""
        self._update_turn(connection, [turn_change(turn) for turn in changed if not turn.new])
        self._insert_turn(connection, [turn_row(turn) for turn in changed if turn.new])
