"""Looking back: into a session, for commands that have a transaction of their own, and at all that a user was in.

Never further than a bound.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select, union
from sqlalchemy.types import BigInteger, Integer

from persistence_worker.domain.state import History, holds
from persistence_worker.storage.mappers import MESSAGE_COLUMNS, TURN_COLUMNS, message_of, turn_of
from persistence_worker.storage.tables import chat_messages, former_users, session_users, turns
from shared.contracts.views import Message

WINDOW = 10_000  # numbers of a session that are looked through, so that nobody holds its lock for long
ERASED_AT_ONCE = 500  # messages

MESSAGES, TURNS = chat_messages.c, turns.c
_SESSION = MESSAGES.session_id == bindparam("session")
_AFTER = MESSAGES.seq > bindparam("after", type_=BigInteger)

TURN = select(*(TURNS[name] for name in TURN_COLUMNS)).where(TURNS.id == bindparam("turn"))
WRITTEN = (
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
    .limit(bindparam("most", type_=Integer))
)
LATER = (
    select(MESSAGES.id)
    .where(_SESSION, _AFTER, MESSAGES.sender_type == "user", MESSAGES.sender_id == bindparam("user"))
    .limit(1)
)
REPLIES = (
    select(*(TURNS[name] for name in TURN_COLUMNS))
    .join_from(chat_messages, turns, TURNS.id == MESSAGES.id)
    .where(_SESSION, _AFTER, MESSAGES.sender_type == "chatbot", MESSAGES.superseded_by.is_(None))
    .order_by(MESSAGES.seq)
)
_WINDOW = (
    select(MESSAGES.seq).where(_SESSION, _AFTER).order_by(MESSAGES.seq).limit(bindparam("window", type_=Integer))
).subquery()
WINDOW_END = select(func.max(_WINDOW.c.seq), func.count())
_BEEN_IN = union(
    *(
        select(table.c.session_id).where(table.c.user_id == bindparam("user"), table.c.session_id >= bindparam("from"))
        for table in (session_users, former_users)
    )
).subquery()
SESSIONS = select(_BEEN_IN.c.session_id).order_by(_BEEN_IN.c.session_id).limit(bindparam("most", type_=Integer))


def of_reply(connection: Connection, reply_id: UUID) -> History:
    """The turn that a reply ended."""
    return History(turns={turn.id: turn for turn in map(turn_of, connection.execute(TURN, {"turn": reply_id}))})


def of_edit(connection: Connection, message: Message, last_seq: int) -> tuple[History, list[UUID]]:
    """Whether a message is its author's last, and the turns that answered it, with the ids of their replies.

    A message that lies further back than `WINDOW` passes for one that is not the last.
    """
    values = {"session": message.session_id, "after": message.seq, "user": message.sender_id}
    if last_seq - message.seq > WINDOW or connection.scalar(LATER, values) is not None:
        return History(), []
    found = [turn_of(row) for row in connection.execute(REPLIES, values)]
    answering = {turn.id: turn for turn in found if holds(turn.asked, message.seq)}
    return History(turns=answering, is_last=True), list(answering)


def of_author(connection: Connection, session_id: UUID, user_id: str, after: int) -> History:
    """The next messages of an author that are not yet erased."""
    values = {"session": session_id, "after": after, "user": user_id, "window": WINDOW, "most": ERASED_AT_ONCE}
    end, looked_at = connection.execute(WINDOW_END, values).one()
    if end is None:
        return History()
    rows = connection.execute(WRITTEN, values | {"end": end})
    messages = [message_of(row) for row in rows]
    if len(messages) == ERASED_AT_ONCE:
        return History(messages=messages, more=messages[-1].seq)
    return History(messages=messages, more=end if looked_at == WINDOW else None)
