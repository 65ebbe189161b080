"""Loads and saves what commands need beyond sessions, messages and turns. Never commits.

It is not used for a batch that has only new sessions, messages and replies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, select, text, update

from persistence_worker.domain.state import Invite, Loaded, Writes
from persistence_worker.storage.bulk import BulkInsert, BulkUpdate
from persistence_worker.storage.dialect_sql import is_among, upsert
from persistence_worker.storage.mappers import (
    MESSAGE_CHANGES,
    MESSAGE_COLUMNS,
    SESSION_RARE_CHANGES,
    message_change,
    message_of,
    session_rare_change,
    words_row,
)
from persistence_worker.storage.message_words import SaveWords
from persistence_worker.storage.tables import (
    applied_commands,
    chat_messages,
    chat_sessions,
    erased_users,
    former_users,
    message_ratings,
    session_chatbots,
    session_invites,
    session_users,
    turns,
)
from shared.contracts.payload import utc_now

ERASURE_LOCK = 0x6261636B_65726173  # shared: a user enters a session; exclusive: a user is erased
SHARED_LOCK = text("SELECT pg_advisory_xact_lock_shared(:key)").bindparams(key=ERASURE_LOCK)


class CommandStore:
    """Statements for one dialect."""

    def __init__(self, dialect: str) -> None:
        self._postgresql = dialect == "postgresql"
        self._build_selects(dialect)
        self._update_session = BulkUpdate(chat_sessions, SESSION_RARE_CHANGES, dialect)
        self._update_message = BulkUpdate(chat_messages, MESSAGE_CHANGES, dialect)
        self._save_words = SaveWords(dialect)
        self._insert_answer = BulkInsert(applied_commands, ("id", "session_id", "result", "applied_at"), dialect)
        self._insert_chatbot = BulkInsert(session_chatbots, ("session_id", "chatbot_id", "position"), dialect)
        self._insert_former_user = upsert(former_users, dialect).on_conflict_do_nothing()
        invite = upsert(session_invites, dialect)
        self._save_invite = invite.on_conflict_do_update(
            index_elements=["hash"], set_={"uses": invite.excluded.uses, "ended": invite.excluded.ended}
        )
        rating = upsert(message_ratings, dialect)
        self._save_rating = rating.on_conflict_do_update(
            index_elements=["message_id", "user_id"],
            set_={name: rating.excluded[name] for name in ("rating", "comment", "rated_at")},
        )

    def _build_selects(self, dialect: str) -> None:
        messages, invites = chat_messages.c, session_invites.c
        self._applied_by_id = select(applied_commands.c.id, applied_commands.c.result).where(
            is_among(applied_commands.c.id, "ids", dialect)
        )
        self._message_by_id = select(*(messages[name] for name in MESSAGE_COLUMNS)).where(
            is_among(messages.id, "ids", dialect)
        )
        self._invite_by_hash = select(
            invites.hash, invites.session_id, invites.expires_at, invites.max_uses, invites.uses, invites.ended
        ).where(is_among(invites.hash, "ids", dialect))
        self._read_marks = select(session_users.c.session_id, session_users.c.user_id, session_users.c.read_seq).where(
            is_among(session_users.c.session_id, "ids", dialect), is_among(session_users.c.user_id, "users", dialect)
        )
        self._depths = select(turns.c.id, turns.c.depth).where(is_among(turns.c.id, "ids", dialect))
        self._erased_users = select(erased_users.c.user_id).where(is_among(erased_users.c.user_id, "ids", dialect))

    def depths(self, connection: Connection, ids: Collection[UUID]) -> dict[UUID, int]:
        """Return the depths of turns by id; the id of a turn is that of its reply."""
        return {row[0]: row[1] for row in connection.execute(self._depths, {"ids": list(ids)})}

    def load_applied(self, connection: Connection, loaded: Loaded, ids: Collection[str]) -> None:
        """Load the answers of commands that were applied before."""
        loaded.applied = {row[0]: row[1] for row in connection.execute(self._applied_by_id, {"ids": list(ids)})}

    def load_messages(self, connection: Connection, loaded: Loaded, ids: Collection[UUID]) -> None:
        """Load messages by id."""
        found = [message_of(row) for row in connection.execute(self._message_by_id, {"ids": list(ids)})]
        loaded.messages |= {message.id: message for message in found}

    def load_invites(self, connection: Connection, loaded: Loaded, hashes: Collection[str]) -> None:
        """Load invites by hash."""
        rows = connection.execute(self._invite_by_hash, {"ids": list(hashes)})
        loaded.invites = {row[0]: Invite(*row) for row in rows}

    def load_read_marks(self, connection: Connection, loaded: Loaded, members: Collection[tuple[UUID, str]]) -> None:
        """Load read marks by session and user."""
        values = {"ids": list({pair[0] for pair in members}), "users": list({pair[1] for pair in members})}
        loaded.read_marks = {(row[0], row[1]): row[2] for row in connection.execute(self._read_marks, values)}

    def load_erased_users(self, connection: Connection, loaded: Loaded, users: Collection[str]) -> None:
        """Load which of the users who enter a session are erased.

        The shared lock delays the erasure of such a user until this transaction is committed.
        """
        if self._postgresql:
            connection.execute(SHARED_LOCK)
        loaded.erased_users = set(connection.scalars(self._erased_users, {"ids": list(users)}))

    def save(self, connection: Connection, loaded: Loaded, writes: Writes) -> None:
        """Save changes, after sessions and new messages."""
        sessions = [loaded.sessions[session_id] for session_id in writes.sessions]
        self._update_session(connection, [session_rare_change(session) for session in sessions if not session.new])
        self._update_message(connection, [message_change(message) for message in writes.messages.values()])
        self._save_words(connection, [words_row(message) for message in writes.messages.values()])
        former = [{"session_id": session_id, "user_id": user_id} for session_id, user_id in writes.left]
        _execute_each(connection, self._insert_former_user, former)
        self._save_invites(connection, writes)
        self._save_chatbots(connection, loaded, writes.chatbots)
        reads = [{"session": key[0], "user": key[1], "seq": seq} for key, seq in writes.read_marks.items()]
        _execute_each(connection, MARK_READ, reads)
        self._save_ratings(connection, writes)
        now = utc_now()
        self._insert_answer(connection, [(*answer, now) for answer in writes.answers])

    def end_memberships(self, connection: Connection, writes: Writes) -> None:
        """Delete ended memberships, before new ones are saved: a user may have left and joined in one batch."""
        left = [{"session": session_id, "user": user_id} for session_id, user_id in writes.left]
        _execute_each(connection, END_MEMBERSHIP, left)

    def _save_invites(self, connection: Connection, writes: Writes) -> None:
        _execute_each(connection, END_INVITES, [{"session": session_id} for session_id in writes.ended_invites])
        invites = [
            {
                "hash": invite.hash,
                "session_id": invite.session_id,
                "expires_at": invite.expires_at,
                "max_uses": invite.max_uses,
                "uses": invite.uses,
                "ended": invite.ended,
            }
            for invite in writes.invites.values()
        ]
        _execute_each(connection, self._save_invite, invites)

    def _save_chatbots(self, connection: Connection, loaded: Loaded, changed: Iterable[UUID]) -> None:
        sessions = [loaded.sessions[session_id] for session_id in changed if not loaded.sessions[session_id].new]
        _execute_each(connection, DELETE_CHATBOTS, [{"session": session.id} for session in sessions])
        rows = [(session.id, bot, n) for session in sessions for n, bot in enumerate(session.chatbots)]
        self._insert_chatbot(connection, rows)

    def _save_ratings(self, connection: Connection, writes: Writes) -> None:
        now = utc_now()
        stored: list[dict[str, Any]] = []
        withdrawn: list[dict[str, Any]] = []
        for (message_id, user_id), rating in writes.ratings.items():
            if rating.rating:
                row = {"message_id": message_id, "user_id": user_id, "rated_at": now, **rating._asdict()}
                stored.append(row)
            else:
                withdrawn.append({"message": message_id, "user": user_id})
        _execute_each(connection, self._save_rating, stored)
        _execute_each(connection, DELETE_RATING, withdrawn)
        for session_id, user_id in writes.deleted_ratings:
            connection.execute(DELETE_RATINGS_OF_USER, {"session": session_id, "user": user_id})
            connection.execute(REDACT_ANSWERS, {"session": session_id})
        for session_id, user_id in writes.erased_members:
            connection.execute(DELETE_FORMER_USER, {"session": session_id, "user": user_id})


def _execute_each(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


MEMBERSHIP = (session_users.c.session_id == bindparam("session"), session_users.c.user_id == bindparam("user"))
MARK_READ = update(session_users).where(*MEMBERSHIP).values(read_seq=bindparam("seq"))
END_MEMBERSHIP = delete(session_users).where(*MEMBERSHIP)
END_INVITES = update(session_invites).where(session_invites.c.session_id == bindparam("session")).values(ended=True)
DELETE_CHATBOTS = delete(session_chatbots).where(session_chatbots.c.session_id == bindparam("session"))
DELETE_RATING = delete(message_ratings).where(
    message_ratings.c.message_id == bindparam("message"), message_ratings.c.user_id == bindparam("user")
)
DELETE_RATINGS_OF_USER = delete(message_ratings).where(
    message_ratings.c.session_id == bindparam("session"), message_ratings.c.user_id == bindparam("user")
)
DELETE_FORMER_USER = delete(former_users).where(
    former_users.c.session_id == bindparam("session"), former_users.c.user_id == bindparam("user")
)
WITH_SESSION = applied_commands.c.result.like('{"result":{"session":%')  # answers that contain a session's title
REDACT_ANSWERS = (
    update(applied_commands)
    .where(applied_commands.c.session_id == bindparam("session"), WITH_SESSION)
    .values(result=None)
)
