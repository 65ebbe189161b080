"""What commands beside messages, replies and new sessions read and write; runs only where a batch holds some."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from persistence_worker.domain.state import Invite, Loaded, Writes
from persistence_worker.storage.bulk import BulkInsert, BulkUpdate
from persistence_worker.storage.mappers import (
    MESSAGE_CHANGES,
    MESSAGE_COLUMNS,
    SESSION_RARE_CHANGES,
    message_change,
    message_of,
)
from persistence_worker.storage.mappers import session_rare_change as rare_change
from persistence_worker.storage.session_store import among
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
)
from shared.contracts.payload import utc_now

ERASURE_LOCK = 0x6261636B_65726173  # of whoever lets a user in, shared; of whoever erases one, alone
SHARED_LOCK = text("SELECT pg_advisory_xact_lock_shared(:key)").bindparams(key=ERASURE_LOCK)


class RoomStore:
    """The statements for one dialect. Never commits."""

    def __init__(self, dialect: str) -> None:
        self._postgresql = dialect == "postgresql"
        self._reading(dialect)
        insert: Any = postgresql.insert if self._postgresql else sqlite.insert
        self._rare = BulkUpdate(chat_sessions, SESSION_RARE_CHANGES, dialect)
        self._messages = BulkUpdate(chat_messages, MESSAGE_CHANGES, dialect)
        self._answers = BulkInsert(applied_commands, ("id", "session_id", "result", "applied_at"), dialect)
        self._chatbots = BulkInsert(session_chatbots, ("session_id", "chatbot_id", "position"), dialect)
        self._former = insert(former_users).on_conflict_do_nothing()
        invite = insert(session_invites)
        self._invite = invite.on_conflict_do_update(
            index_elements=["hash"], set_={"uses": invite.excluded.uses, "ended": invite.excluded.ended}
        )
        rating = insert(message_ratings)
        self._rating = rating.on_conflict_do_update(
            index_elements=["message_id", "user_id"],
            set_={name: rating.excluded[name] for name in ("rating", "comment", "rated_at")},
        )

    def _reading(self, dialect: str) -> None:
        messages, invites = chat_messages.c, session_invites.c
        self._applied = select(applied_commands.c.id, applied_commands.c.result).where(
            among(applied_commands.c.id, "ids", dialect)
        )
        self._by_id = select(*(messages[name] for name in MESSAGE_COLUMNS)).where(among(messages.id, "ids", dialect))
        self._by_hash = select(
            invites.hash, invites.session_id, invites.expires_at, invites.max_uses, invites.uses, invites.ended
        ).where(among(invites.hash, "ids", dialect))
        self._read = select(session_users.c.session_id, session_users.c.user_id, session_users.c.read_seq).where(
            among(session_users.c.session_id, "ids", dialect), among(session_users.c.user_id, "users", dialect)
        )
        self._erased = select(erased_users.c.user_id).where(among(erased_users.c.user_id, "ids", dialect))

    def load_applied(self, connection: Connection, loaded: Loaded, ids: Collection[str]) -> None:
        """The answers of commands applied before."""
        loaded.applied = {row[0]: row[1] for row in connection.execute(self._applied, {"ids": list(ids)})}

    def load_messages(self, connection: Connection, loaded: Loaded, ids: Collection[UUID]) -> None:
        """Messages that commands name."""
        found = [message_of(row) for row in connection.execute(self._by_id, {"ids": list(ids)})]
        loaded.messages |= {message.id: message for message in found}

    def load_invites(self, connection: Connection, loaded: Loaded, hashes: Collection[str]) -> None:
        """Invites that commands name."""
        rows = connection.execute(self._by_hash, {"ids": list(hashes)})
        loaded.invites = {row[0]: Invite(*row) for row in rows}

    def load_read(self, connection: Connection, loaded: Loaded, pairs: Collection[tuple[UUID, str]]) -> None:
        """How far these members have read."""
        values = {"ids": list({pair[0] for pair in pairs}), "users": list({pair[1] for pair in pairs})}
        loaded.read = {(row[0], row[1]): row[2] for row in connection.execute(self._read, values)}

    def load_erased(self, connection: Connection, loaded: Loaded, users: Collection[str]) -> None:
        """Which of those who want in are erased; whoever erases one of them waits until this is committed."""
        if self._postgresql:
            connection.execute(SHARED_LOCK)
        loaded.erased = set(connection.scalars(self._erased, {"ids": list(users)}))

    def save(self, connection: Connection, loaded: Loaded, writes: Writes) -> None:
        """Write it, after sessions and new messages."""
        sessions = [loaded.sessions[session_id] for session_id in writes.sessions]
        self._rare(connection, [rare_change(session) for session in sessions if not session.new])
        self._messages(connection, [message_change(message) for message in writes.messages.values()])
        former = [{"session_id": session_id, "user_id": user_id} for session_id, user_id in writes.left]
        _each(connection, self._former, former)
        self._save_invites(connection, writes)
        self._save_chatbots(connection, loaded, writes.chatbots)
        reads = [{"session": key[0], "user": key[1], "seq": seq} for key, seq in writes.read.items()]
        _each(connection, MARK_READ, reads)
        self._save_ratings(connection, writes)
        now = utc_now()
        self._answers(connection, [(*answer, now) for answer in writes.answers])

    def part(self, connection: Connection, writes: Writes) -> None:
        """End memberships; before anybody joins, since it may be the same one."""
        left = [{"session": session_id, "user": user_id} for session_id, user_id in writes.left]
        _each(connection, LEAVE, left)

    def _save_invites(self, connection: Connection, writes: Writes) -> None:
        _each(connection, UNINVITE, [{"session": session_id} for session_id in writes.uninvited])
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
        _each(connection, self._invite, invites)

    def _save_chatbots(self, connection: Connection, loaded: Loaded, changed: Iterable[UUID]) -> None:
        sessions = [loaded.sessions[session_id] for session_id in changed if not loaded.sessions[session_id].new]
        _each(connection, NO_CHATBOTS, [{"session": session.id} for session in sessions])
        rows = [(session.id, bot, n) for session in sessions for n, bot in enumerate(session.chatbots)]
        self._chatbots(connection, rows)

    def _save_ratings(self, connection: Connection, writes: Writes) -> None:
        now = utc_now()
        given: list[dict[str, Any]] = []
        taken: list[dict[str, Any]] = []
        for (message_id, user_id), rating in writes.ratings.items():
            if rating.rating:
                row = {"message_id": message_id, "user_id": user_id, "rated_at": now, **rating._asdict()}
                given.append(row)
            else:
                taken.append({"message": message_id, "user": user_id})
        _each(connection, self._rating, given)
        _each(connection, NO_RATING, taken)
        for session_id, user_id in writes.forgotten:
            connection.execute(FORGET, {"session": session_id, "user": user_id})
            connection.execute(REDACT, {"session": session_id})
        for session_id, user_id in writes.erased:
            connection.execute(NEVER_THERE, {"session": session_id, "user": user_id})


def _each(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


MEMBERSHIP = (session_users.c.session_id == bindparam("session"), session_users.c.user_id == bindparam("user"))
MARK_READ = update(session_users).where(*MEMBERSHIP).values(read_seq=bindparam("seq"))
LEAVE = delete(session_users).where(*MEMBERSHIP)
UNINVITE = update(session_invites).where(session_invites.c.session_id == bindparam("session")).values(ended=True)
NO_CHATBOTS = delete(session_chatbots).where(session_chatbots.c.session_id == bindparam("session"))
NO_RATING = delete(message_ratings).where(
    message_ratings.c.message_id == bindparam("message"), message_ratings.c.user_id == bindparam("user")
)
FORGET = delete(message_ratings).where(
    message_ratings.c.session_id == bindparam("session"), message_ratings.c.user_id == bindparam("user")
)
NEVER_THERE = delete(former_users).where(
    former_users.c.session_id == bindparam("session"), former_users.c.user_id == bindparam("user")
)
WORDY = applied_commands.c.result.like('{"result":{"session":%')  # answers that show a session, and its title
REDACT = (
    update(applied_commands).where(applied_commands.c.session_id == bindparam("session"), WORDY).values(result=None)
)
