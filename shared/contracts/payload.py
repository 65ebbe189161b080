"""The base class of payloads: strict when constructed, tolerant when parsed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


def utc_now() -> datetime:
    """Return the current time in UTC, truncated to milliseconds, the precision of the contract."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC with milliseconds, as in `2026-11-23T09:30:00.123Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Model(BaseModel):
    """A frozen model that refuses undeclared fields, so that a misspelt one fails at construction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, data: Any) -> Self:
        """Parse data of another process; fields that a later release added are ignored."""
        return cls.model_validate(data, extra="ignore")


class Payload(Model):
    """The `data` of an envelope. `TYPE` is its type on the wire and ends with a version."""

    TYPE: ClassVar[str]
