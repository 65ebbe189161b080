"""Cursors of lists: a position in a list as text that is opaque to clients. No I/O."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from shared.contracts.payload import rfc3339
from shared.errors import InvalidRequest


def cursor(moment: datetime, last: UUID) -> str:
    """Return the cursor after an entry of a list that is ordered by time and id."""
    return encode([rfc3339(moment), last.hex])


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """Return time and id of a cursor.

    Raises:
        InvalidRequest: the text is not a cursor of `cursor`.
    """
    try:
        moment, last = decode(text)
        when = datetime.fromisoformat(moment)
        if when.tzinfo is None:
            raise ValueError("naive")
        return when.astimezone(UTC), UUID(last)  # `OverflowError` near the years 1 and 9999
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidRequest("This cursor is not valid.") from None


def encode(position: list[Any]) -> str:
    """Encode a position."""
    return urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode(text: str) -> list[Any]:
    """Decode a position.

    Raises:
        InvalidRequest: the text is not an encoded position.
    """
    try:
        position = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(position, list):
            raise TypeError("position")
    except (ValueError, TypeError):
        raise InvalidRequest("This cursor is not valid.") from None
    return position
