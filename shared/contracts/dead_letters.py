"""Dead letters: what could not be read or applied, kept whole for a person to look at and to replay."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import ClassVar, Self

from shared.contracts.payload import Payload


class DeadLetter(Payload):
    """Bytes taken off a queue for good. `body` is base64, since what does not parse may be anything.

    `attempts` is how often they had been delivered before, `reason` names no content.
    """

    TYPE: ClassVar[str] = "backchat.dead.letter.v1"

    queue: str
    reason: str
    attempts: int
    body: str

    @classmethod
    def of(cls, body: bytes, *, queue: str, reason: str, attempts: int) -> Self:
        """The letter that keeps `body`: one encoded body, or an array with the one event that is poison."""
        return cls(queue=queue, reason=reason, attempts=attempts, body=b64encode(body).decode())

    def original(self) -> bytes:
        """The bytes as they were taken."""
        return b64decode(self.body)


DEAD: tuple[type[Payload], ...] = (DeadLetter,)
