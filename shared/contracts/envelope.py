"""The envelope of all messages on the bus: CloudEvents 1.0 attributes around a payload.

A body is a JSON array of envelopes, so events that are published together share one message. `Event` is constructed
strictly. `Received` is read tolerantly; its payload stays encoded until it is needed, so that a gateway can drop an
event by its `subject`.
"""

from __future__ import annotations

import builtins
import random
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Self, TypeVar

from msgspec import DecodeError, Raw, Struct, ValidationError, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from shared.contracts.payload import Model, Payload, Timestamp, parse_rfc3339, rfc3339, rfc3339_now

M = TypeVar("M", bound=Model)

SPEC_VERSION = "1.0"
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


class MalformedEvent(ValueError):
    """The bytes are not an envelope, or the payload does not match its type."""


def _identifier() -> str:
    # Unique, not secret. 128 bits like a UUID, without the system call of `uuid4`, which costs as much as the envelope.
    return f"{random.getrandbits(128):032x}"


class _Envelope(Struct, kw_only=True, omit_defaults=True, gc=False):
    """The JSON object, in the order of its keys."""

    specversion: str
    id: str
    source: str
    type: str
    time: Timestamp
    subject: str | None = None
    traceparent: str | None = None
    replyto: str | None = None
    correlationid: str | None = None
    deadline: Timestamp | None = None
    data: Payload | Raw


class Event(Struct, frozen=True):
    """An event, command or query to publish.

    `subject` is the id of its session, if any. `replyto` and `correlationid` belong to requests and their replies.
    Consumers drop a request after its `deadline`.
    """

    source: str
    data: Payload
    subject: str | None = None
    id: str = field(default_factory=_identifier)
    time: Timestamp = field(default_factory=rfc3339_now)
    traceparent: str | None = None
    replyto: str | None = None
    correlationid: str | None = None
    deadline: datetime | None = None

    @property
    def type(self) -> str:
        """The type of the payload, as in `backchat.message.send.v1`."""
        return self.data.TYPE

    def replace(self, **changes: Any) -> Self:
        """Return a copy with changed attributes."""
        return replace(self, **changes)

    def encode(self) -> bytes:
        """Return the envelope as a JSON object."""
        return _encode(
            _Envelope(
                specversion=SPEC_VERSION,
                id=self.id,
                source=self.source,
                type=self.data.TYPE,
                time=self.time,
                subject=self.subject,
                traceparent=self.traceparent,
                replyto=self.replyto,
                correlationid=self.correlationid,
                deadline=None if self.deadline is None else rfc3339(self.deadline),
                data=self.data,
            )
        )


class Received(Struct, frozen=True, kw_only=True):
    """A received event with its attributes; `raw` is the payload as JSON."""

    id: str
    source: str
    type: str
    subject: str | None = None
    raw: Raw = field(name="data")
    time: str
    traceparent: str | None = None
    replyto: str | None = None
    correlationid: str | None = None
    deadline: str | None = None

    @property
    def data(self) -> dict[str, Any]:
        """The payload without a model; each access decodes it.

        Raises:
            MalformedEvent: it is not valid JSON.
        """
        try:
            fields: dict[str, Any] = _decode(self.raw)
        except (DecodeError, RecursionError) as error:
            raise self._malformed(error) from None
        return fields

    def parse(self, model: builtins.type[M]) -> M:
        """Return the payload as a model, which may declare only some of its fields.

        Raises:
            MalformedEvent: `data` does not match the model.
        """
        try:
            payload: M = _decoder(model).decode(self.raw)
        except (DecodeError, RecursionError) as error:
            raise self._malformed(error) from None
        return payload

    def replace(self, **changes: Any) -> Self:
        """Return a copy with changed attributes."""
        return replace(self, **changes)

    def encode(self) -> bytes:
        """Return the envelope as a JSON object, for a dead letter."""
        return _encode(
            _Envelope(
                specversion=SPEC_VERSION,
                id=self.id,
                source=self.source,
                type=self.type,
                time=self.time,
                subject=self.subject,
                traceparent=self.traceparent,
                replyto=self.replyto,
                correlationid=self.correlationid,
                deadline=self.deadline,
                data=self.raw,
            )
        )

    def is_late(self, now: datetime) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and parse_rfc3339(self.deadline) < now

    def _malformed(self, error: Exception) -> MalformedEvent:
        return MalformedEvent(f"{self.type}: {_field(error)}")


_encode = Encoder().encode
_decode = Decoder().decode
_read = Decoder(list[Received]).decode


@cache
def _decoder(model: type[M]) -> Decoder[M]:
    return Decoder(model)


def join(encoded: Iterable[bytes]) -> bytes:
    """Join encoded envelopes into one body."""
    return b"[" + b",".join(encoded) + b"]"


def read_body(body: bytes) -> list[Received]:
    """Return the events of a body, in order.

    Raises:
        MalformedEvent: the body is not an array of envelopes.
    """
    try:
        events = _read(body)
        if any(memoryview(event.raw)[0] != ord("{") for event in events):
            raise TypeError("data")
    except (DecodeError, RecursionError, TypeError) as error:
        raise MalformedEvent(f"not an envelope: {type(error).__name__}") from None
    return events


def _field(error: Exception) -> str:
    """Return the path of the first wrong field, without its value, which may be a text of a user."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    missing, path = _MISSING.match(str(error)), _PATH.search(str(error))
    return ".".join([*(path.groups() if path else ()), *(missing.groups() if missing else ())]) or "object"
