"""The envelope of all messages on the bus: CloudEvents 1.0 attributes around a payload.

A body is a JSON array of envelopes, so events that are published together share one message. `Event` is constructed
strictly. `Received` is read tolerantly; its payload is parsed on demand, so that a gateway can drop an event by its
`subject`.
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
    """The bytes are not an envelope, or the payload does not match its type."""


def _identifier() -> str:
    # Unique, not secret. 128 bits like a UUID, without the system call of `uuid4`, which costs as much as the envelope.
    return f"{random.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True)
class Event:
    """An event, command or query to publish.

    `subject` is the id of its session, if any. `replyto` and `correlationid` belong to requests and their replies.
    Consumers drop a request after its `deadline`.
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
        """The type of the payload, as in `backchat.message.send.v1`."""
        return self.data.TYPE

    def encode(self) -> bytes:
        """Return the envelope as a JSON object."""
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
    """A received event with its attributes; `data` is the payload as parsed JSON."""

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
        """Return the payload as a model.

        Raises:
            MalformedEvent: `data` does not match the model.
        """
        try:
            return payload.read(self.data)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, e["loc"])) or e["type"] for e in error.errors()[:5])
            raise MalformedEvent(f"{self.type}: {fields}") from None  # without the values, which may be texts of users

    def encode(self) -> bytes:
        """Return the envelope as a JSON object, for a dead letter."""
        head = {name: value for name, value in self._asdict().items() if value is not None}
        return orjson.dumps({"specversion": SPEC_VERSION, **head})

    def is_late(self, now: datetime) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and datetime.fromisoformat(self.deadline) < now


def join(encoded: Iterable[bytes]) -> bytes:
    """Join encoded envelopes into one body."""
    return b"[" + b",".join(encoded) + b"]"


def read_body(body: bytes) -> list[Received]:
    """Return the events of a body, in order.

    Raises:
        MalformedEvent: the body is not an array of envelopes.
    """
    try:
        envelopes = orjson.loads(body)
        if not isinstance(envelopes, list):  # an empty object would be acknowledged as zero events
            raise TypeError("body")
        return [_received(raw) for raw in envelopes]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise MalformedEvent(f"not an envelope: {type(error).__name__}") from None


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
