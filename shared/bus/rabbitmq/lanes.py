"""What waits to be published: one lane for each (exchange, key), all of them bounded together. No I/O.

A lane has one publication under way at most; what is added meanwhile gathers and leaves as one body.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, EVENT_BYTES_MAX, MIB, Exchange
from shared.errors import BackchatError, PayloadTooLarge, Unavailable

WAITING_EVENTS_MAX = 20_000  # in all lanes together, under way included
WAITING_BYTES_MAX = 64 * MIB
KEY_BYTES_MAX = 255  # AMQP's limit of a routing key


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

    def resolve(self, error: BackchatError | None = None) -> bool:
        """Tell who waits, once; an error that nobody reads is not reported by asyncio. Whether anybody was told."""
        if self.held is None or self.held.done():
            return False
        if error is None:
            self.held.set_result(None)
        else:
            self.held.set_exception(error)
            self.held.exception()
        return True


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
    size = 1  # the brackets, less the comma that the first event has not
    while waiting and len(batch) < BATCH_EVENTS:
        size += len(waiting[0].body) + 1
        if batch and size > BATCH_BYTES:
            break
        batch.append(waiting.popleft())
    return batch


class Lanes:
    """All lanes of a bus, with the bound over them."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._events = 0
        self._bytes = 0
        self.closed = False
        self.empty = asyncio.Event()
        self.empty.set()

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def __len__(self) -> int:
        return len(self._lanes)

    def refusal(self, body: bytes, key: str) -> BackchatError | None:
        """Why this event cannot be added, if so."""
        if self.closed:
            return Unavailable("The bus is closed.")
        if len(body) > EVENT_BYTES_MAX:
            return PayloadTooLarge("The event is too large for the bus.")
        if self._events >= WAITING_EVENTS_MAX or self._bytes + len(body) > WAITING_BYTES_MAX:
            return Unavailable("Too much is waiting for the broker.")
        if len(key.encode()) > KEY_BYTES_MAX:
            return Unavailable("No queue has such a long key.")
        return None

    def add(self, exchange: Exchange, key: str, entry: Entry) -> Lane:
        """Put an event at the end of its lane."""
        lane = self._lanes.get((exchange.name, key))
        if lane is None:
            lane = self._lanes[exchange.name, key] = Lane(exchange, key)
        lane.waiting.append(entry)
        self._events += 1
        self._bytes += len(entry.body)
        self.empty.clear()
        return lane

    def finish(self, lane: Lane, error: BackchatError | None) -> None:
        """The outcome of the lane's batch is known: tell its waiters, and forget the lane if nothing is left."""
        batch, lane.batch, lane.tag = lane.batch, [], 0
        for entry in batch:
            entry.resolve(error)
        self._release(lane, batch)

    def drop_unkept(self) -> int:
        """The connection is gone: drop what is not to be sent again, and say how many events that was."""
        count = 0
        for lane in self:
            dropped = lane.drop_unkept()
            for entry in dropped:
                entry.resolve(Unavailable("The connection to the broker was lost."))
            self._release(lane, dropped)
            count += len(dropped)
        return count

    def expire(self, now: float) -> int:
        """Tell those who have waited too long, and say how many; their events stay and are still to be sent."""
        told = 0
        for lane in self:
            for entries in (lane.batch, lane.waiting):
                for entry in entries:
                    if entry.due > now:
                        break
                    told += entry.resolve(Unavailable("The broker did not confirm in time."))
        return told

    def close(self) -> int:
        """Refuse everything from now on, give up what waits, and say how many events that was."""
        self.closed = True
        for lane in self:
            for entry in (*lane.batch, *lane.waiting):
                entry.resolve(Unavailable("The bus was closed."))
        self._lanes.clear()
        return self._events

    def _release(self, lane: Lane, entries: list[Entry]) -> None:
        self._events -= len(entries)
        self._bytes -= sum(len(entry.body) for entry in entries)
        if not lane.batch and not lane.waiting:
            del self._lanes[lane.exchange.name, lane.key]
        if not self._events:
            self.empty.set()
