"""Where a list goes on: a moment and an id, opaque to clients. No I/O."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from shared.contracts.payload import rfc3339
from shared.errors import InvalidRequest


def cursor(moment: datetime, last: UUID) -> str:
    """The place just after something in a list by time."""
    return write([rfc3339(moment), last.hex])


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """What `cursor` wrote.

    Raises:
        InvalidRequest: it did not.
    """
    try:
        moment, last = read(text)
        when = datetime.fromisoformat(moment)
        if when.tzinfo is None:
            raise ValueError("naive")
        return when.astimezone(UTC), UUID(last)  # the years 1 and 9999 end before they do elsewhere: `OverflowError`
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidRequest("This cursor is none of ours.") from None


def write(place: list[Any]) -> str:
    """A place as text."""
    return urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read(text: str) -> list[Any]:
    """The place that a text names.

    Raises:
        InvalidRequest: it names none.
    """
    try:
        place = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(place, list):
            raise TypeError("place")
    except (ValueError, TypeError):
        raise InvalidRequest("This cursor is none of ours.") from None
    return place
