"""What a batch writes and what it must read under lock; plain statements, built once. Never commits.

Everything takes a `Connection` in a transaction that the caller ends. Arrays, not lists of parameters, so
that a statement's text (and its plan) is the same for every batch size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Connection, any_, bindparam, func, insert, literal, null, select, update

from persistence_worker.state import SessionState, Turn
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
        # After the lock, never in one statement with it: a wait for the lock would leave them at the old snapshot.
        users = select(
            session_users.c.session_id,
            session_users.c.user_id.label("member"),
            literal(0).label("kind"),
            session_users.c.joined_at.label("joined_at"),
            literal(0).label("position"),
        ).where(among(session_users.c.session_id, "ids", dialect))
        bots = select(
            session_chatbots.c.session_id,
            session_chatbots.c.chatbot_id,
            literal(1),
            null(),
            session_chatbots.c.position,
        ).where(among(session_chatbots.c.session_id, "ids", dialect))
        self._members = users.union_all(bots).order_by("kind", "position", "joined_at", "member")
        self._turns = select(*(turns.c[n] for n in TURN_COLUMNS)).where(
            among(turns.c.session_id, "ids", dialect), turns.c.closed_at.is_(None)
        )
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
        self._update_session = (
            update(chat_sessions)
            .where(sessions.id == bindparam("key"))
            .values({name: bindparam(f"new_{name}") for name in SESSION_CHANGES})
        )
        self._update_turn = (
            update(turns)
            .where(turns.c.id == bindparam("key"))
            .values({name: bindparam(f"new_{name}") for name in TURN_CHANGES})
        )

    def load(self, connection: Connection, session_ids: Collection[UUID], message_ids: Collection[UUID]) -> Loaded:
        """Lock the sessions in id order and read what decides about commands for them."""
        ids = {"ids": list(session_ids)}
        loaded = Loaded()
        for row in connection.execute(self._lock, ids):
            loaded.sessions[row[0]] = SessionState(*row)
        if loaded.sessions:
            self.load_members(connection, loaded.sessions)
            for row in connection.execute(self._turns, ids):
                turn = Turn(*row)
                loaded.sessions[turn.session_id].turns[turn.chatbot_id] = turn
        if message_ids:
            known = connection.execute(self._known, {"ids": list(message_ids)})
            loaded.known = {row[0]: row[1] for row in known}
        return loaded

    def load_members(self, connection: Connection, sessions: Mapping[UUID, SessionState]) -> None:
        """Read users (longest member first) and chatbots (in their order) of these sessions."""
        if not sessions:
            return
        for session_id, member, kind, *_order in connection.execute(self._members, {"ids": list(sessions)}):
            session = sessions[session_id]
            (session.chatbots if kind else session.users).append(member)

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
        return [Turn(*row) for row in connection.execute(query)]

    def save(self, connection: Connection, sessions: Iterable[SessionState], messages: Sequence[Message]) -> None:
        """Write what changed: sessions first, since everything else refers to them."""
        sessions = list(sessions)
        new = [session for session in sessions if session.new]
        if new:
            self._insert_sessions(connection, new)
        changed = [_session_change(session) for session in sessions if session.changed and not session.new]
        if changed:
            connection.execute(self._update_session, changed)
        if messages:
            connection.execute(INSERT_MESSAGE, [_message_row(message) for message in messages])

    def save_turns(self, connection: Connection, changed: Sequence[Turn]) -> None:
        """Close and change turns before new ones open: at most one is open for a chatbot in a session."""
        updates = [_turn_change(turn) for turn in changed if not turn.new]
        if updates:
            connection.execute(self._update_turn, updates)
        new = [{name: getattr(turn, name) for name in TURN_ROW} for turn in changed if turn.new]
        if new:
            connection.execute(INSERT_TURN, new)

    def _insert_sessions(self, connection: Connection, new: Sequence[SessionState]) -> None:
        connection.execute(INSERT_SESSION, [{name: getattr(s, name) for name in SESSION_COLUMNS} for s in new])
        connection.execute(
            INSERT_USER,
            [
                {"session_id": s.id, "user_id": user, "joined_at": s.created_at, "read_seq": 0}
                for s in new
                for user in s.users
            ],
        )
        chatbots = [
            {"session_id": s.id, "chatbot_id": chatbot, "position": position}
            for s in new
            for position, chatbot in enumerate(s.chatbots)
        ]
        if chatbots:
            connection.execute(INSERT_CHATBOT, chatbots)


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
MESSAGE_COLUMNS = tuple(chat_messages.c.keys())
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
)
TURN_ROW = (*TURN_COLUMNS, "closed_at")
TURN_CHANGES = ("waiting", "waiting_reply_to", "starts", "published_at", "closed_at")

INSERT_SESSION = insert(chat_sessions)
INSERT_USER = insert(session_users)
INSERT_CHATBOT = insert(session_chatbots)
INSERT_MESSAGE = insert(chat_messages)
INSERT_TURN = insert(turns)


def _session_change(session: SessionState) -> dict[str, Any]:
    return {"key": session.id} | {f"new_{name}": getattr(session, name) for name in SESSION_CHANGES}


def _turn_change(turn: Turn) -> dict[str, Any]:
    return {"key": turn.id} | {f"new_{name}": getattr(turn, name) for name in TURN_CHANGES}


def _message_row(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "session_id": message.session_id,
        "seq": message.seq,
        "updated_seq": message.updated_seq,
        "sender_type": message.sender_type,
        "sender_id": message.sender_id,
        "content": message.content,
        "created_at": message.created_at,
        "client_message_id": message.client_message_id,
        "reply_to": message.reply_to,
        "status": message.status,
        "error_code": message.error.code if message.error else None,
        "error_message": message.error.message if message.error else None,
        "superseded_by": message.superseded_by,
    }
