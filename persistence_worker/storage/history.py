"""Reads older messages of a session for exclusive commands, and the sessions of a user. Every read is bounded."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select, union
from sqlalchemy.types import BigInteger, Integer

from persistence_worker.domain.state import History, contains
from persistence_worker.storage.mappers import MESSAGE_COLUMNS, TURN_COLUMNS, message_of, turn_of
from persistence_worker.storage.tables import chat_messages, former_users, session_users, turns
from shared.contracts.views import Message

WINDOW = 10_000  # messages that one read examines, because it contains the session's lock
ERASED_MAX = 500  # messages that one command erases

MESSAGES, TURNS = chat_messages.c, turns.c
_SESSION = MESSAGES.session_id == bindparam("session")
_AFTER = MESSAGES.seq > bindparam("after", type_=BigInteger)

TURN = select(*(TURNS[name] for name in TURN_COLUMNS)).where(TURNS.id == bindparam("turn"))
MESSAGES_OF_AUTHOR = (
    select(*(MESSAGES[name] for name in MESSAGE_COLUMNS))
    .where(
        _SESSION,
        _AFTER,
        MESSAGES.seq <= bindparam("end", type_=BigInteger),
        MESSAGES.sender_type == "user",
        MESSAGES.sender_id == bindparam("user"),
        MESSAGES.status != "erased",
    )
    .order_by(MESSAGES.seq)
    .limit(bindparam("limit", type_=Integer))
)
LATER_MESSAGE = (
    select(MESSAGES.id)
    .where(_SESSION, _AFTER, MESSAGES.sender_type == "user", MESSAGES.sender_id == bindparam("user"))
    .limit(1)
)
ANSWERED_TURNS = (
    select(*(TURNS[name] for name in TURN_COLUMNS))
    .join_from(chat_messages, turns, TURNS.id == MESSAGES.id)
    .where(_SESSION, _AFTER, MESSAGES.sender_type == "chatbot", MESSAGES.superseded_by.is_(None))
    .order_by(MESSAGES.seq)
)
_WINDOW = (
    select(MESSAGES.seq).where(_SESSION, _AFTER).order_by(MESSAGES.seq).limit(bindparam("window", type_=Integer))
).subquery()
WINDOW_END = select(func.max(_WINDOW.c.seq), func.count())
_EVER_JOINED = union(
    *(
        select(table.c.session_id).where(table.c.user_id == bindparam("user"), table.c.session_id >= bindparam("from"))
        for table in (session_users, former_users)
    )
).subquery()
ALL_SESSIONS_OF_USER = (
    select(_EVER_JOINED.c.session_id).order_by(_EVER_JOINED.c.session_id).limit(bindparam("limit", type_=Integer))
)


def of_reply(connection: Connection, reply_id: UUID) -> History:
    """Return the turn that a reply closed."""
    return History(turns={turn.id: turn for turn in map(turn_of, connection.execute(TURN, {"turn": reply_id}))})


def of_edit(connection: Connection, message: Message, last_seq: int) -> tuple[History, list[UUID]]:
    """Return whether a message is its author's last, the turns that answered it, and the ids of their replies.

    A message with more than `WINDOW` later numbers counts as not the last.
    """
    values = {"session": message.session_id, "after": message.seq, "user": message.sender_id}
    if last_seq - message.seq > WINDOW or connection.scalar(LATER_MESSAGE, values) is not None:
        return History(), []
    found = [turn_of(row) for row in connection.execute(ANSWERED_TURNS, values)]
    answering = {turn.id: turn for turn in found if contains(turn.asked, message.seq)}
    return History(turns=answering, is_last=True), list(answering)


def of_author(connection: Connection, session_id: UUID, user_id: str, after: int) -> History:
    """Return the next messages of an author after a number, without erased ones."""
    values = {"session": session_id, "after": after, "user": user_id, "window": WINDOW, "limit": ERASED_MAX}
    end, examined = connection.execute(WINDOW_END, values).one()
    if end is None:
        return History()
    rows = connection.execute(MESSAGES_OF_AUTHOR, values | {"end": end})
    messages = [message_of(row) for row in rows]
    if len(messages) == ERASED_MAX:
        return History(messages=messages, more=messages[-1].seq)
    return History(messages=messages, more=end if examined == WINDOW else None)
