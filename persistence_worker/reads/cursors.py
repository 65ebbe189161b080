"""Cursors of lists: a position in a list as text that is opaque to clients. No I/O."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from shared.contracts.payload import rfc3339
from shared.errors import InvalidRequest


def cursor(moment: datetime, last: UUID, *request: Any) -> str:
    """Return the cursor after an entry of a list that is ordered by time and id.

    `request` is what the list was requested by, such as its kind and its user.
    """
    return encode([rfc3339(moment), last.hex, _digest(request)])


def read_cursor(text: str, *request: Any) -> tuple[datetime, UUID]:
    """Return time and id of a cursor.

    Raises:
        InvalidRequest: the text is not a cursor of `cursor` with the same `request`.
    """
    try:
        moment, last, digest = decode(text)
        if digest != _digest(request):
            raise ValueError("another list")
        when = datetime.fromisoformat(moment)
        if when.tzinfo is None:
            raise ValueError("naive")
        return when.astimezone(UTC), UUID(last)  # `OverflowError` near the years 1 and 9999
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidRequest("This cursor is not valid.") from None


def _digest(request: tuple[Any, ...]) -> str:
    return blake2b(orjson.dumps(request), digest_size=8).hexdigest()


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
