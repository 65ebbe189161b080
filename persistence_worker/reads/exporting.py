"""Exports the data of a user page by page: sessions, and the messages and ratings of the user in them."""

from __future__ import annotations

from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.types import BigInteger

from persistence_worker.domain import views
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.state import SessionState
from persistence_worker.reads import cursors
from persistence_worker.storage.history import ALL_SESSIONS_OF_USER, MESSAGES_OF_AUTHOR, WINDOW, WINDOW_END
from persistence_worker.storage.mappers import message_of
from persistence_worker.storage.session_reader import SessionReader
from persistence_worker.storage.tables import chat_messages, message_ratings
from shared.contracts.payload import rfc3339
from shared.contracts.queries import ExportedSession, ExportResult, ExportUser
from shared.contracts.views import PAGE_BYTES_MAX, Message, OwnSession
from shared.errors import InvalidRequest

ROOM = PAGE_BYTES_MAX - 128 * 1024  # bytes after which a page ends; its last message may exceed it
ROWS = 100  # messages, and ratings, of one read
STEPS = 20  # reads of sessions for one page
PART_OVERHEAD = 32  # bytes of JSON between two parts

RATED = (
    select(
        chat_messages.c.seq,
        message_ratings.c.message_id,
        message_ratings.c.rating,
        message_ratings.c.comment,
        message_ratings.c.rated_at,
    )
    .join_from(message_ratings, chat_messages, chat_messages.c.id == message_ratings.c.message_id)
    .where(
        message_ratings.c.session_id == bindparam("session"),
        message_ratings.c.user_id == bindparam("user"),
        chat_messages.c.seq > bindparam("after", type_=BigInteger),
        chat_messages.c.seq <= bindparam("end", type_=BigInteger),
    )
    .order_by(chat_messages.c.seq)
    .limit(ROWS)
)


def export(connection: Connection, reader: SessionReader, catalogue: Catalogue, query: ExportUser) -> ExportResult:
    """Return one page, ordered by session and sequence number.

    Raises:
        InvalidRequest: the cursor is not valid.
    """
    session_id, after = (UUID(int=0), 0) if query.cursor is None else _position(query.cursor)
    room = ROOM
    parts: list[ExportedSession] = []
    for _ in range(STEPS):
        found = connection.scalar(ALL_SESSIONS_OF_USER, {"user": query.user_id, "from": session_id, "limit": 1})
        if found is None:
            return ExportResult(sessions=parts, next_cursor=None)
        if found != session_id:
            session_id, after = found, 0
        session, former = _session(connection, reader, catalogue, session_id, query.user_id)
        if session is None:  # deleted
            session_id, after = UUID(int=session_id.int + 1), 0
            continue
        part, more = _part(connection, session, query.user_id, after, room, former=former)
        parts.append(part)
        room -= len(part.to_json()) + PART_OVERHEAD
        session_id, after = (session_id, more) if more is not None else (UUID(int=session_id.int + 1), 0)
        if room <= 0:
            break
    return ExportResult(sessions=parts, next_cursor=cursors.encode([session_id.hex, after]))


def _position(text: str) -> tuple[UUID, int]:
    try:
        session_id, after = cursors.decode(text)
        return UUID(session_id), int(after)
    except (ValueError, TypeError, AttributeError):
        raise InvalidRequest("This cursor is not valid.") from None


def _session(
    connection: Connection, reader: SessionReader, catalogue: Catalogue, session_id: UUID, user_id: str
) -> tuple[OwnSession | None, bool]:
    """Return the view of a session, and whether the user is a former member, who sees only its id and creation time."""
    own = reader.session(connection, session_id, user_id)
    if own is not None:
        return views.own_session(own[0], catalogue, own[1]), False
    found = reader.session(connection, session_id)
    return (None, True) if found is None else (_former_view(found[0], user_id), True)


def _former_view(state: SessionState, user_id: str) -> OwnSession:
    return OwnSession(
        id=state.id,
        title=None,
        owner_id="",
        users=[user_id],
        chatbots=[],
        reply_policy=state.reply_policy,
        seq=0,
        last_seq=0,
        created_at=rfc3339(state.created_at),
        updated_at=rfc3339(state.created_at),
        read_seq=0,
    )


def _part(
    connection: Connection, session: OwnSession, user_id: str, after: int, room: int, *, former: bool
) -> tuple[ExportedSession, int | None]:
    """Return messages and ratings of a session after a number, and the number after which the next page continues."""
    values: dict[str, Any] = {"session": session.id, "user": user_id, "after": after, "window": WINDOW, "limit": ROWS}
    end, examined = connection.execute(WINDOW_END, values).one()
    messages: list[Message] = []
    ratings: list[dict[str, Any]] = []
    if end is None:
        return ExportedSession(session=session, former=former, messages=[], ratings=[]), None
    written = [message_of(row) for row in connection.execute(MESSAGES_OF_AUTHOR, values | {"end": end})]
    rated = connection.execute(RATED, values | {"end": end}).all()
    cut = [rows[-1].seq for rows in (written, rated) if len(rows) == ROWS]
    more = min(cut) if cut else end if examined == WINDOW else None
    found: list[tuple[int, Any]] = [*((m.seq, m) for m in written), *((r.seq, r) for r in rated)]
    for seq, item in sorted(found, key=itemgetter(0)):
        if more is not None and seq > more:
            break
        if isinstance(item, Message):
            messages.append(item)
            room -= len(item.to_json())
        else:
            ratings.append(_rating(item))
            room -= 2 * len(item.comment or "") + 128
        if room <= 0:
            more = seq
            break
    return ExportedSession(session=session, former=former, messages=messages, ratings=ratings), more


def _rating(row: Any) -> dict[str, Any]:
    return {
        "message_id": str(row.message_id),
        "rating": row.rating,
        "comment": row.comment,
        "rated_at": rfc3339(row.rated_at),
    }
