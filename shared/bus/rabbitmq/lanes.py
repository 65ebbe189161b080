"""What waits to be published, one lane for each (exchange, key): pure queues and the rule of group commit.

A lane has one publication under way at most; what is added meanwhile gathers and leaves as one body.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, Exchange
from shared.errors import BackchatError


@dataclass(slots=True)
class Entry:
    """One encoded event. `held` waits for its outcome, if anybody does.

    `kept`: sent again under the same id until its outcome is known; else it goes with the connection.
    `due` is the loop's time at which its outcome counts as unknown.
    """

    body: bytes
    held: asyncio.Future[None] | None
    kept: bool
    due: float

    def resolve(self, error: BackchatError | None = None) -> None:
        """Tell who waits, once; an error that nobody reads is not reported by asyncio."""
        if self.held is None or self.held.done():
            return
        if error is None:
            self.held.set_result(None)
        else:
            self.held.set_exception(error)
            self.held.exception()


@dataclass(slots=True, eq=False)
class Lane:
    """Everything that waits under one exchange and key, in order."""

    exchange: Exchange
    key: str
    waiting: deque[Entry] = field(default_factory=deque)
    batch: list[Entry] = field(default_factory=list)  # under way, or to be sent again
    tag: int = 0  # the delivery tag under which `batch` is under way; 0: it is not

    def next_batch(self) -> list[Entry]:
        """The batch to send now: the one whose outcome is unknown, else what gathered."""
        if not self.batch:
            self.batch = cut(self.waiting)
        return self.batch

    def drop_unkept(self) -> list[Entry]:
        """Take out and return what is not sent again after the connection went."""
        dropped = [entry for entry in (*self.batch, *self.waiting) if not entry.kept]
        if dropped:
            self.batch = [entry for entry in self.batch if entry.kept]
            self.waiting = deque(entry for entry in self.waiting if entry.kept)
        return dropped


def cut(waiting: deque[Entry]) -> list[Entry]:
    """Take what fits into one body: `BATCH_EVENTS` and `BATCH_BYTES`, or one event alone."""
    batch: list[Entry] = []
    size = 2  # the brackets
    while waiting and len(batch) < BATCH_EVENTS:
        size += len(waiting[0].body) + 1
        if batch and size > BATCH_BYTES:
            break
        batch.append(waiting.popleft())
    return batch
