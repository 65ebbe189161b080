"""Locks, loads and saves sessions, their messages and turns. Never commits.

All methods run in a transaction of the caller. Statements are built once and take arrays instead of parameter lists,
so that their text and plan are the same for every batch size. On SQLite each size would be one more prepared
statement in the driver's cache, up to 7 MiB per connection, and would take twice the time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, bindparam, func, select, update

from persistence_worker.domain.state import Loaded, SessionState, Turn
from persistence_worker.storage.bulk import BulkInsert, BulkUpdate
from persistence_worker.storage.dialect_sql import MEMBERS, is_among
from persistence_worker.storage.mappers import (
    SESSION_CHANGES,
    SESSION_COLUMNS,
    TURN_CHANGES,
    TURN_COLUMNS,
    session_change,
    session_row,
    turn_change,
    turn_of,
    turn_row,
)
from persistence_worker.storage.message_words import InsertMessages
from persistence_worker.storage.tables import (
    chat_messages,
    chat_sessions,
    session_chatbots,
    session_users,
    turns,
)
from shared.contracts.views import Message

TITLE_SOURCE_LENGTH = 400  # code points of a message that a title is derived from


class SessionStore:
    """Statements of the write path for one dialect."""

    def __init__(self, dialect: str) -> None:
        sessions = chat_sessions.c
        self._lock = (
            select(*(sessions[n] for n in SESSION_COLUMNS))
            .where(is_among(sessions.id, "ids", dialect))
            .order_by(sessions.id)
            .with_for_update()
        )
        self._members = MEMBERS[dialect]
        self._message_sessions = select(chat_messages.c.id, chat_messages.c.session_id).where(
            is_among(chat_messages.c.id, "ids", dialect)
        )
        earlier = chat_messages.alias("earlier")
        first = (
            select(func.min(earlier.c.seq))
            .where(earlier.c.session_id == sessions.id, earlier.c.sender_type == "user", earlier.c.content != "")
            .scalar_subquery()
        )
        self._title_source = (
            select(sessions.id, func.substr(chat_messages.c.content, 1, TITLE_SOURCE_LENGTH), chat_messages.c.sender_id)
            .join_from(chat_sessions, chat_messages, chat_messages.c.session_id == sessions.id)
            .where(is_among(sessions.id, "ids", dialect), chat_messages.c.seq == first)
        )
        self._insert_session = BulkInsert(chat_sessions, SESSION_COLUMNS, dialect)
        self._insert_user = BulkInsert(session_users, ("session_id", "user_id", "joined_at", "read_seq"), dialect)
        self._insert_chatbot = BulkInsert(session_chatbots, ("session_id", "chatbot_id", "position"), dialect)
        self._update_session = BulkUpdate(chat_sessions, SESSION_CHANGES, dialect)
        self._insert_messages = InsertMessages(dialect)
        self._insert_turn = BulkInsert(turns, TURN_COLUMNS, dialect)
        self._update_turn = BulkUpdate(turns, TURN_CHANGES, dialect)
        self._set_published = (
            update(turns)
            .where(is_among(turns.c.id, "ids", dialect), turns.c.closed_at.is_(None))
            .values(published_at=bindparam("now"))
        )

    def load(self, connection: Connection, session_ids: Collection[UUID], message_ids: Collection[UUID]) -> Loaded:
        """Lock sessions in the order of their ids, and load members, chatbots, open turns and known messages."""
        loaded = Loaded()
        for row in connection.execute(self._lock, {"ids": list(session_ids)}):
            loaded.sessions[row[0]] = SessionState(*row)
        # A separate statement: one that waited for the lock would still see the snapshot from before the wait.
        self.load_members(connection, loaded.sessions)
        if message_ids:
            rows = connection.execute(self._message_sessions, {"ids": list(message_ids)})
            loaded.message_sessions = {row[0]: row[1] for row in rows}
        return loaded

    def load_members(self, connection: Connection, sessions: Mapping[UUID, SessionState]) -> None:
        """Load members (the longest first), chatbots (in their order) and open turns of sessions."""
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

    def load_title_sources(self, connection: Connection, sessions: Sequence[SessionState]) -> None:
        """Load the beginning and the author of each session's first user message."""
        by_id = {session.id: session for session in sessions}
        for session_id, text, author in connection.execute(self._title_source, {"ids": list(by_id)}):
            by_id[session_id].title_source = (text, author)

    def lock_overdue_turns(self, connection: Connection, before: datetime, limit: int) -> list[Turn]:
        """Lock open turns that were last published before `before`; turns locked by another worker are skipped."""
        query = (
            select(*(turns.c[n] for n in TURN_COLUMNS))
            .where(turns.c.closed_at.is_(None), turns.c.published_at < before, turns.c.stop_at.is_(None))
            .order_by(turns.c.published_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [turn_of(row) for row in connection.execute(query)]

    def set_published(self, connection: Connection, turn_ids: Sequence[UUID], now: datetime) -> None:
        """Set the time of publication of open turns, and no other column: a batch may have changed them."""
        if turn_ids:
            connection.execute(self._set_published, {"ids": list(turn_ids), "now": now})

    def save(
        self,
        connection: Connection,
        sessions: Iterable[SessionState],
        joined: Mapping[tuple[UUID, str], datetime],
        messages: Sequence[Message],
    ) -> None:
        """Save new and changed sessions, then members, chatbots and messages, which refer to them."""
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
        if messages:
            self._insert_messages(connection, messages)

    def save_turns(self, connection: Connection, changed: Sequence[Turn]) -> None:
        """Save changed turns before new ones: a chatbot has at most one open turn in a session."""
        self._update_turn(connection, [turn_change(turn) for turn in changed if not turn.new])
        self._insert_turn(connection, [turn_row(turn) for turn in changed if turn.new])
