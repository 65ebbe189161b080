"""The envelope of everything on the bus: CloudEvents 1.0 attributes, several events to one body.

A body is a JSON array of envelopes: what was published together (group commit) travels together.
`Event` is made strictly; `Received` is read tolerantly, and its payload is parsed only on demand, so
that a gateway can drop what it does not serve by a look at `subject`.
"""

from __future__ import annotations

import builtins
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import ValidationError

from shared.contracts.payload import Payload, rfc3339, utc_now

P = TypeVar("P", bound=Payload)

SPEC_VERSION = "1.0"


class MalformedEvent(ValueError):
    """Bytes or fields that are no envelope, or a payload that does not fit its type."""


def _identifier() -> str:
    # Unique, not secret; a UUID's width without its system call, which costs as much as the whole envelope.
    return f"{random.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True)
class Event:
    """One event or command on its way out.

    `subject` is the session's id, where there is one. `replyto` and `correlationid` carry a request
    and its answer; after `deadline` a receiver does not begin it any more.
    """

    source: str
    data: Payload
    subject: str | None = None
    id: str = field(default_factory=_identifier)
    time: datetime = field(default_factory=utc_now)
    traceparent: str | None = None
    replyto: str | None = None
    correlationid: str | None = None
    deadline: datetime | None = None

    @property
    def type(self) -> str:
        """The payload's type, as in `backchat.message.send.v1`."""
        return self.data.TYPE

    def encode(self) -> bytes:
        """The envelope as JSON, without the array around it."""
        head: dict[str, Any] = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.data.TYPE,
            "time": rfc3339(self.time),
        }
        if self.subject is not None:
            head["subject"] = self.subject
        if self.traceparent is not None:
            head["traceparent"] = self.traceparent
        if self.replyto is not None:
            head["replyto"] = self.replyto
        if self.correlationid is not None:
            head["correlationid"] = self.correlationid
        if self.deadline is not None:
            head["deadline"] = rfc3339(self.deadline)
        return orjson.dumps(head)[:-1] + b',"data":' + self.data.model_dump_json().encode() + b"}"


class Received(NamedTuple):
    """One event as it came in: attributes read, payload still raw (`data`)."""

    id: str
    source: str
    type: str
    subject: str | None
    data: dict[str, Any]
    time: str
    traceparent: str | None = None
    replyto: str | None = None
    correlationid: str | None = None
    deadline: str | None = None

    def parse(self, payload: builtins.type[P]) -> P:
        """The payload as a model.

        Raises:
            MalformedEvent: `data` does not fit.
        """
        try:
            return payload.read(self.data)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, e["loc"])) or e["type"] for e in error.errors()[:5])
            raise MalformedEvent(f"{self.type}: {fields}") from None  # never the values: they are people's words

    def encode(self) -> bytes:
        """The envelope as JSON again, without the array around it: what a dead letter keeps."""
        head = {name: value for name, value in self._asdict().items() if value is not None}
        return orjson.dumps({"specversion": SPEC_VERSION, **head})

    def is_late(self, now: datetime) -> bool:
        """Whether its deadline has passed."""
        return self.deadline is not None and datetime.fromisoformat(self.deadline) < now


def join(encoded: Iterable[bytes]) -> bytes:
    """One body of several encoded envelopes."""
    return b"[" + b",".join(encoded) + b"]"


def read_body(body: bytes) -> list[Received]:
    """The events of one body, in order.

    Raises:
        MalformedEvent: the body is no array of envelopes.
    """
    try:
        envelopes = orjson.loads(body)
        if not isinstance(envelopes, list):  # an empty object would pass for no events, and be acked
            raise TypeError("body")
        return [_received(raw) for raw in envelopes]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise MalformedEvent(f"no envelope: {type(error).__name__}") from None


def _received(raw: dict[str, Any]) -> Received:
    data = raw["data"]
    if not isinstance(data, dict):
        raise TypeError("data")
    get = raw.get
    return Received(
        raw["id"],
        raw["source"],
        raw["type"],
        get("subject"),
        data,
        raw["time"],
        get("traceparent"),
        get("replyto"),
        get("correlationid"),
        get("deadline"),
    )
