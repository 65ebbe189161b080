"""Reads the replies to one message: those of the turns that answer it, as they are now. Every read is bounded."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.types import BigInteger

from persistence_worker.domain.state import Turn, contains
from persistence_worker.storage.history import WINDOW
from persistence_worker.storage.mappers import MESSAGE_COLUMNS, TURN_COLUMNS, message_of, turn_of
from persistence_worker.storage.tables import chat_messages, turns
from shared.contracts.views import Message

LINKS_MAX = 1_000  # replies that supersede one another, of all chatbots

MESSAGES, TURNS = chat_messages.c, turns.c
_SESSION = bindparam("session", type_=MESSAGES.session_id.type)
OPEN_TURNS = select(*(TURNS[name] for name in TURN_COLUMNS)).where(
    TURNS.session_id == _SESSION, TURNS.closed_at.is_(None)
)
REPLIES_AFTER = (
    select(*(TURNS[name] for name in TURN_COLUMNS))
    .join_from(chat_messages, turns, TURNS.id == MESSAGES.id)
    .where(
        MESSAGES.session_id == _SESSION,
        MESSAGES.seq > bindparam("after", type_=BigInteger),
        MESSAGES.seq <= bindparam("end", type_=BigInteger),
        MESSAGES.sender_type == "chatbot",
    )
    .order_by(MESSAGES.seq)
)
REPLY = select(*(MESSAGES[name] for name in MESSAGE_COLUMNS)).where(
    MESSAGES.id == bindparam("reply", type_=MESSAGES.id.type), MESSAGES.session_id == _SESSION
)


def replies_to(connection: Connection, message: Message) -> tuple[list[Message], bool]:
    """Return the replies to a message, ascending by `seq`, and whether all turns that answer it have ended.

    A reply is looked for within `WINDOW` numbers after the message. One that supersedes it is found by its id,
    however much later it was written.
    """
    values = {"session": message.session_id, "after": message.seq, "end": message.seq + WINDOW}
    open_turns = [turn_of(row) for row in connection.execute(OPEN_TURNS, values)]
    answered = [turn_of(row) for row in connection.execute(REPLIES_AFTER, values)]
    found = [turn.id for turn in answered if contains(turn.asked, message.seq)]
    replies, missing = _newest(connection, message, found)
    awaited = {turn_id for turn in open_turns for turn_id in (turn.id, turn.waiting_id)}
    ended = missing.isdisjoint(awaited) and not any(_answers(turn, message.seq) for turn in open_turns)
    return sorted(replies, key=lambda reply: reply.seq), ended


def _answers(turn: Turn, number: int) -> bool:
    return contains(turn.asked, number) or contains(turn.waiting, number)


def _newest(connection: Connection, message: Message, found: list[UUID]) -> tuple[list[Message], set[UUID]]:
    """Follow each reply to the one that supersedes it; return the last ones, and the ids of those not stored."""
    replies: list[Message] = []
    missing: set[UUID] = set()
    seen: set[UUID] = set()
    while found and len(seen) < LINKS_MAX:
        reply_id = found.pop()
        if reply_id in seen:
            continue
        seen.add(reply_id)
        row = connection.execute(REPLY, {"reply": reply_id, "session": message.session_id}).one_or_none()
        if row is None:
            missing.add(reply_id)
            continue
        reply = message_of(row)
        if reply.superseded_by is None:
            replies.append(reply)
        else:
            found.append(reply.superseded_by)
    return replies, missing
