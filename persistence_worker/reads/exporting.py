"""What is kept about a user, page by page: their sessions, and what they wrote and rated there."""

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
from persistence_worker.storage.history import SESSIONS, WINDOW, WINDOW_END, WRITTEN
from persistence_worker.storage.mappers import message_of
from persistence_worker.storage.session_reader import Reads
from persistence_worker.storage.tables import chat_messages, message_ratings
from shared.contracts.payload import rfc3339
from shared.contracts.queries import ExportedSession, ExportResult, ExportUser
from shared.contracts.views import PAGE_BYTES_MAX, Message, OwnSession
from shared.errors import InvalidRequest

ROOM = PAGE_BYTES_MAX - 128 * 1024  # bytes of a page, whose last message may be as long as any
ROWS = 100  # messages, and ratings, that are read at once
STEPS = 20  # looks into sessions for one page
AROUND = 32  # bytes beside each part

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


def export(connection: Connection, reads: Reads, catalogue: Catalogue, query: ExportUser) -> ExportResult:
    """One page, by session and place.

    Raises:
        InvalidRequest: the cursor is none of ours.
    """
    session_id, after = (UUID(int=0), 0) if query.cursor is None else _place(query.cursor)
    room = ROOM
    parts: list[ExportedSession] = []
    for _ in range(STEPS):
        found = connection.scalar(SESSIONS, {"user": query.user_id, "from": session_id, "most": 1})
        if found is None:
            return ExportResult(sessions=parts, next_cursor=None)
        if found != session_id:
            session_id, after = found, 0
        session, former = _session(connection, reads, catalogue, session_id, query.user_id)
        if session is None:  # deleted
            session_id, after = UUID(int=session_id.int + 1), 0
            continue
        part, more = _part(connection, session, query.user_id, after, room, former=former)
        parts.append(part)
        room -= len(part.model_dump_json()) + AROUND
        session_id, after = (session_id, more) if more is not None else (UUID(int=session_id.int + 1), 0)
        if room <= 0:
            break
    return ExportResult(sessions=parts, next_cursor=cursors.write([session_id.hex, after]))


def _place(text: str) -> tuple[UUID, int]:
    try:
        session_id, after = cursors.read(text)
        return UUID(session_id), int(after)
    except (ValueError, TypeError, AttributeError):
        raise InvalidRequest("This cursor is none of ours.") from None


def _session(
    connection: Connection, reads: Reads, catalogue: Catalogue, session_id: UUID, user_id: str
) -> tuple[OwnSession | None, bool]:
    """A session as its member sees it; of one that the user has left, only that and when it was."""
    mine = reads.session(connection, session_id, user_id)
    if mine is not None:
        return views.own_session(mine[0], catalogue, mine[1]), False
    found = reads.session(connection, session_id)
    return (None, True) if found is None else (_left(found[0], user_id), True)


def _left(state: SessionState, user_id: str) -> OwnSession:
    return OwnSession(
        id=state.id,
        title=None,
        owner_id="",
        users=[user_id],
        chatbots=[],
        reply_policy=state.reply_policy,
        seq=0,
        last_seq=0,
        created_at=state.created_at,
        updated_at=state.created_at,
        read_seq=0,
    )


def _part(
    connection: Connection, session: OwnSession, user_id: str, after: int, room: int, *, former: bool
) -> tuple[ExportedSession, int | None]:
    """What fits of a session from a place on, and the place after which it goes on."""
    values: dict[str, Any] = {"session": session.id, "user": user_id, "after": after, "window": WINDOW, "most": ROWS}
    end, looked_at = connection.execute(WINDOW_END, values).one()
    messages: list[Message] = []
    ratings: list[dict[str, Any]] = []
    if end is None:
        return ExportedSession(session=session, former=former, messages=[], ratings=[]), None
    written = [message_of(row) for row in connection.execute(WRITTEN, values | {"end": end})]
    rated = connection.execute(RATED, values | {"end": end}).all()
    cut = [rows[-1].seq for rows in (written, rated) if len(rows) == ROWS]
    more = min(cut) if cut else end if looked_at == WINDOW else None
    found: list[tuple[int, Any]] = [*((m.seq, m) for m in written), *((r.seq, r) for r in rated)]
    for seq, item in sorted(found, key=itemgetter(0)):
        if more is not None and seq > more:
            break
        if isinstance(item, Message):
            messages.append(item)
            room -= len(item.model_dump_json())
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
