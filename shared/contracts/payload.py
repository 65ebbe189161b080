"""The base of every payload: strict where it is made, tolerant where it is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


def utc_now() -> datetime:
    """Now, in UTC, cut to milliseconds: the precision that the contract shows."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as in `2026-11-23T09:30:00.123Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Model(BaseModel):
    """Frozen; an undeclared field is a bug in our code and fails at construction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, data: Any) -> Self:
        """Parse what another process sent; fields added by a later release are ignored."""
        return cls.model_validate(data, extra="ignore")


class Payload(Model):
    """The `data` of one envelope. `TYPE` names it on the wire and ends in its version."""

    TYPE: ClassVar[str]
