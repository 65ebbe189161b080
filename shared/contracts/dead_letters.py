"""Dead letters: messages that could not be parsed or applied, kept for inspection and replay."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import ClassVar, Self

from shared.contracts.payload import Payload


class DeadLetter(Payload):
    """A message that was removed from a queue. `body` is base64, because unparsable data may be any bytes.

    `attempts` is the number of earlier deliveries; `reason` contains nothing of the message.
    """

    TYPE: ClassVar[str] = "backchat.dead.letter.v1"

    queue: str
    reason: str
    attempts: int
    body: str

    @classmethod
    def of(cls, body: bytes, *, queue: str, reason: str, attempts: int) -> Self:
        """Build the letter of a body: a complete one, or an array with a single poison event."""
        return cls(queue=queue, reason=reason, attempts=attempts, body=b64encode(body).decode())

    def original(self) -> bytes:
        """Return the original bytes."""
        return b64decode(self.body)


DEAD: tuple[type[Payload], ...] = (DeadLetter,)
