"""What a batch writes and what it must read under lock; plain statements, built once. Never commits.

Everything takes a `Connection` in a transaction that the caller ends. Arrays, not lists of parameters, so
that a statement's text (and its plan) is the same for every batch size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, ColumnElement, Connection, any_, bindparam, func, select, update

from persistence_worker.bulk import BulkInsert, BulkUpdate
from persistence_worker.state import SessionState, Turn
from persistence_worker.statements import MEMBERS
from persistence_worker.tables import (
    chat_messages,
    chat_sessions,
    session_chatbots,
    session_users,
    turns,
)
from shared.contracts.views import Message

FIRST_WORDS = 400  # code points of a message that a title is made from


def among(column: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """`column` is one of the values bound as `name`."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    return column.in_(bindparam(name, expanding=True))


@dataclass(slots=True)
class Loaded:
    """Sessions by id (missing ones left out), and the session of each known message."""

    sessions: dict[UUID, SessionState] = field(default_factory=dict)
    known: dict[UUID, UUID] = field(default_factory=dict)


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
        first = (
            select(func.substr(chat_messages.c.content, 1, FIRST_WORDS))
            .where(chat_messages.c.session_id == sessions.id, chat_messages.c.sender_type == "user")
            .order_by(chat_messages.c.seq)
            .limit(1)
            .scalar_subquery()
        )
        self._first_words = select(sessions.id, first).where(among(sessions.id, "ids", dialect))
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
            for turn in map(_turn, orjson.loads(open_turns)):
                session.turns[turn.chatbot_id] = turn

    def load_first_words(self, connection: Connection, sessions: Sequence[SessionState]) -> None:
        """Read the beginning of each session's first user message."""
        by_id = {session.id: session for session in sessions}
        for session_id, words in connection.execute(self._first_words, {"ids": list(by_id)}):
            by_id[session_id].first_words = words

    def overdue(self, connection: Connection, before: datetime, most: int) -> list[Turn]:
        """Lock open turns that were last published before a moment; those that another worker holds are left out."""
        query = (
            select(*(turns.c[n] for n in TURN_COLUMNS))
            .where(turns.c.closed_at.is_(None), turns.c.published_at < before)
            .order_by(turns.c.published_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        return [_turn(row) for row in connection.execute(query)]

    def turns_published(self, connection: Connection, turn_ids: Sequence[UUID], now: datetime) -> None:
        """Note that these are published; of a turn that a batch holds, nothing else is touched."""
        if turn_ids:
            connection.execute(self._turns_published, {"ids": list(turn_ids), "now": now})

    def save(self, connection: Connection, sessions: Iterable[SessionState], messages: Sequence[Message]) -> None:
        """Write what changed: sessions first, since everything else refers to them."""
        new: list[SessionState] = []
        changed: list[SessionState] = []
        for session in sessions:
            if session.new:
                new.append(session)
            elif session.changed:
                changed.append(session)
        self._insert_session(connection, [_SESSION_ROW(session) for session in new])
        self._insert_user(connection, [(s.id, user, s.created_at, 0) for s in new for user in s.users])
        self._insert_chatbot(connection, [(s.id, bot, n) for s in new for n, bot in enumerate(s.chatbots)])
        self._update_session(connection, [_SESSION_CHANGE(session) for session in changed])
        self._insert_message(connection, [_message_row(message) for message in messages])

    def save_turns(self, connection: Connection, changed: Sequence[Turn]) -> None:
        """Close and change turns before new ones open: at most one is open for a chatbot in a session."""
        self._update_turn(connection, [_turn_change(turn) for turn in changed if not turn.new])
        self._insert_turn(connection, [_turn_row(turn) for turn in changed if turn.new])


SESSION_COLUMNS = (
    "id",
    "title",
    "owner_id",
    "reply_policy",
    "rotation",
    "seq",
    "last_seq",
    "created_at",
    "updated_at",
    "deleted_at",
)
SESSION_CHANGES = ("title", "rotation", "seq", "last_seq", "updated_at")
_SESSION_ROW = attrgetter(*SESSION_COLUMNS)
_SESSION_CHANGE = attrgetter("id", *SESSION_CHANGES)
MESSAGE_COLUMNS = (
    "id",
    "session_id",
    "seq",
    "updated_seq",
    "sender_type",
    "sender_id",
    "content",
    "created_at",
    "client_message_id",
    "reply_to",
    "status",
    "error_code",
    "error_message",
    "superseded_by",
)
TURN_COLUMNS = (
    "id",
    "session_id",
    "chatbot_id",
    "reply_to",
    "asked",
    "waiting",
    "waiting_reply_to",
    "starts",
    "published_at",
    "closed_at",
)
TURN_CHANGES = ("waiting", "waiting_reply_to", "starts", "published_at", "closed_at")


def _turn(row: Sequence[Any]) -> Turn:
    """From a row, or from the JSON array of one."""
    turn_id, session_id, chatbot_id, reply_to, asked, waiting, waiting_reply_to, starts, published_at, _closed_at = row
    return Turn(
        id=_uuid(turn_id),
        session_id=_uuid(session_id),
        chatbot_id=chatbot_id,
        reply_to=_uuid(reply_to),
        asked=orjson.loads(asked),
        waiting=orjson.loads(waiting),
        waiting_reply_to=_uuid(waiting_reply_to) if waiting_reply_to else None,
        starts=starts,
        published_at=_moment(published_at),
    )


def _uuid(value: UUID | str) -> UUID:
    return UUID(value) if isinstance(value, str) else value


def _moment(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _turn_row(turn: Turn) -> tuple[Any, ...]:
    return (
        turn.id,
        turn.session_id,
        turn.chatbot_id,
        turn.reply_to,
        orjson.dumps(turn.asked).decode(),
        orjson.dumps(turn.waiting).decode(),
        turn.waiting_reply_to,
        turn.starts,
        turn.published_at,
        turn.closed_at,
    )


def _turn_change(turn: Turn) -> tuple[Any, ...]:
    waiting = orjson.dumps(turn.waiting).decode()
    return (turn.id, waiting, turn.waiting_reply_to, turn.starts, turn.published_at, turn.closed_at)


def _message_row(message: Message) -> tuple[Any, ...]:
    error = message.error
    return (
        message.id,
        message.session_id,
        message.seq,
        message.updated_seq,
        message.sender_type,
        message.sender_id,
        message.content,
        message.created_at,
        message.client_message_id,
        message.reply_to,
        message.status,
        error.code if error else None,
        error.message if error else None,
        message.superseded_by,
    )
