"""Mappers between table rows and domain objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from msgspec import UNSET
from msgspec.json import Decoder, encode
from sqlalchemy import Row

from persistence_worker.domain.search_words import search_words
from persistence_worker.domain.state import Turn
from shared.contracts.payload import parse_rfc3339, rfc3339
from shared.contracts.views import ErrorView, Message, ReasoningPart

_PARTS = Decoder(list[ReasoningPart])

SESSION_COLUMNS = (
    "id",
    "title",
    "titled_by",
    "owner_id",
    "reply_policy",
    "rotation",
    "seq",
    "last_seq",
    "created_at",
    "updated_at",
    "deleted_at",
)
SESSION_CHANGES = ("title", "titled_by", "rotation", "seq", "last_seq", "updated_at")
SESSION_RARE_CHANGES = ("owner_id", "reply_policy", "deleted_at")
session_row = attrgetter(*SESSION_COLUMNS)
session_change = attrgetter("id", *SESSION_CHANGES)
session_rare_change = attrgetter("id", *SESSION_RARE_CHANGES)

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
    "parts",
)
MESSAGE_CHANGES = ("updated_seq", "content", "client_message_id", "status", "superseded_by")
message_change = attrgetter("id", *MESSAGE_CHANGES)

WORDS_COLUMNS = ("session_id", "seq", "words")

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
    "depth",
    "until",
    "waiting_depth",
    "waiting_id",
    "stop_at",
    "closed_at",
)
TURN_CHANGES = (
    "waiting",
    "waiting_reply_to",
    "starts",
    "published_at",
    "waiting_depth",
    "waiting_id",
    "stop_at",
    "closed_at",
)


def turn_of(row: Sequence[Any]) -> Turn:
    """Return the turn of a row of `TURN_COLUMNS`, or of such a row as a JSON array."""
    return Turn(
        id=_uuid(row[0]),
        session_id=_uuid(row[1]),
        chatbot_id=row[2],
        reply_to=_uuid(row[3]),
        asked=orjson.loads(row[4]),
        waiting=orjson.loads(row[5]),
        waiting_reply_to=_uuid(row[6]) if row[6] else None,
        starts=row[7],
        published_at=_moment(row[8]),
        depth=row[9],
        until=row[10],
        waiting_depth=row[11],
        waiting_id=_uuid(row[12]) if row[12] else None,
        stop_at=_moment(row[13]) if row[13] else None,
        closed_at=_moment(row[14]) if row[14] else None,
    )


def _uuid(value: UUID | str) -> UUID:
    return UUID(value) if isinstance(value, str) else value


def _moment(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def turn_row(turn: Turn) -> tuple[Any, ...]:
    """Return the row of a turn, in the order of `TURN_COLUMNS`."""
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
        turn.depth,
        turn.until,
        turn.waiting_depth,
        turn.waiting_id,
        turn.stop_at,
        turn.closed_at,
    )


def turn_change(turn: Turn) -> tuple[Any, ...]:
    """Return the id of a turn and its mutable columns, in the order of `TURN_CHANGES`."""
    return (
        turn.id,
        orjson.dumps(turn.waiting).decode(),
        turn.waiting_reply_to,
        turn.starts,
        turn.published_at,
        turn.waiting_depth,
        turn.waiting_id,
        turn.stop_at,
        turn.closed_at,
    )


def message_of(row: Row[Any]) -> Message:
    """Return the message of a row of `MESSAGE_COLUMNS`."""
    return Message(
        id=row.id,
        session_id=row.session_id,
        seq=row.seq,
        updated_seq=row.updated_seq,
        sender_type=row.sender_type,
        sender_id=row.sender_id,
        content=row.content,
        created_at=rfc3339(row.created_at),
        client_message_id=row.client_message_id,
        reply_to=row.reply_to,
        status=row.status,
        error=ErrorView(code=row.error_code, message=row.error_message or "") if row.error_code else None,
        superseded_by=row.superseded_by,
        parts=UNSET if row.parts is None else _PARTS.decode(row.parts),
    )


def message_row(message: Message) -> tuple[Any, ...]:
    """Return the row of a message, in the order of `MESSAGE_COLUMNS`."""
    error = message.error
    return (
        message.id,
        message.session_id,
        message.seq,
        message.updated_seq,
        message.sender_type,
        message.sender_id,
        message.content,
        parse_rfc3339(message.created_at),
        message.client_message_id,
        message.reply_to,
        message.status,
        error.code if error else None,
        error.message if error else None,
        message.superseded_by,
        None if message.parts is UNSET else encode(message.parts).decode(),
    )


def words_row(message: Message) -> tuple[UUID, int, str]:
    """Return the row of a message's words, in the order of `WORDS_COLUMNS`."""
    return (message.session_id, message.seq, search_words(message.content))
