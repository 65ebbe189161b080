"""Loads and replaces the catalogue of chatbots. Never commits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, delete, insert, select, update

from persistence_worker.domain.catalogue import Listed
from persistence_worker.storage.tables import chatbots
from shared.contracts.events import ChatbotCard, ChatbotsAnnounced, ContextWanted
from shared.contracts.payload import parse_rfc3339

SELECT = select(chatbots).order_by(chatbots.c.position, chatbots.c.id)
NEWEST = select(chatbots.c.modified_at).order_by(chatbots.c.modified_at.desc()).limit(1)


def load_catalogue(connection: Connection) -> list[Listed]:
    """Return all chatbots that any catalogue has listed, in the order of the newest one."""
    return [_listed(row) for row in connection.execute(SELECT)]


def save_catalogue(connection: Connection, announced: ChatbotsAnnounced) -> bool:
    """Replace the stored catalogue unless it is newer or the same; return whether it was replaced.

    Of two catalogues with the same date, the last announced one is stored: the built-in catalogue has one date, with
    and without the local language model.
    """
    modified_at = parse_rfc3339(announced.modified_at)
    newest: datetime | None = connection.scalar(NEWEST)
    if newest is not None and newest > modified_at:
        return False
    if newest == modified_at:
        stored = [listed.card for listed in load_catalogue(connection) if listed.available]
        if stored == announced.chatbots:
            return False
    connection.execute(update(chatbots).values(available=False, is_default=False, modified_at=modified_at))
    connection.execute(delete(chatbots).where(chatbots.c.id.in_([card.id for card in announced.chatbots])))
    if announced.chatbots:
        connection.execute(insert(chatbots), _rows(announced.chatbots, modified_at))
    return True


def _rows(cards: Sequence[ChatbotCard], modified_at: datetime) -> Sequence[dict[str, object]]:
    return [
        {
            "id": card.id,
            "name": card.name,
            "description": card.description,
            "is_default": card.default,
            "immediate": card.immediate,
            "context_messages": card.context.messages,
            "context_bytes": card.context.bytes,
            "context_summary": card.context.summary,
            "avatar": card.avatar or None,
            "suggestions": json.dumps(card.suggestions, ensure_ascii=False),
            "position": position,
            "available": True,
            "modified_at": modified_at,
        }
        for position, card in enumerate(cards)
    ]


def _listed(row: Row[tuple[object, ...]]) -> Listed:
    card = ChatbotCard(
        id=row.id,
        name=row.name,
        description=row.description,
        default=row.is_default,
        immediate=row.immediate,
        context=ContextWanted(messages=row.context_messages, bytes=row.context_bytes, summary=row.context_summary),
        avatar=row.avatar or "",
        suggestions=json.loads(row.suggestions),
    )
    return Listed(card, available=row.available, modified_at=row.modified_at)
