"""Events that wait to be published: one buffer for each (exchange, key), with one bound over all. Pure: no I/O.

A buffer has at most one batch in flight; events that are added during that time form the next batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, EVENT_BYTES_MAX, MIB, Exchange
from shared.errors import BackchatError, PayloadTooLarge, Unavailable

PENDING_EVENTS_MAX = 20_000  # in all buffers together, those in flight included
PENDING_BYTES_MAX = 64 * MIB
KEY_BYTES_MAX = 255  # AMQP's limit of a routing key


class Outcome(Protocol):
    """The part of `asyncio.Future[None]` that the buffer uses."""

    def done(self) -> bool:
        """Whether the outcome is set."""

    def set_result(self, result: None, /) -> None:
        """Report that the broker holds the event."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Report why it does not, or that this is unknown."""

    def exception(self) -> BaseException | None:
        """Return the reported error."""


@dataclass(slots=True)
class PendingEvent:
    """One encoded event whose outcome is not known yet.

    `outcome` is the caller's future; None if no caller waits. `resend`: published again under the same id until its
    outcome is known; otherwise dropped when the connection is lost. `due` is the loop's time at which the outcome
    counts as unknown.
    """

    body: bytes
    outcome: Outcome | None
    resend: bool
    due: float

    def resolve(self, error: BackchatError | None = None) -> bool:
        """Set the outcome unless it is set. Returns whether a caller was still waiting for it."""
        if self.outcome is None or self.outcome.done():
            return False
        if error is None:
            self.outcome.set_result(None)
        else:
            self.outcome.set_exception(error)
            self.outcome.exception()  # read, so that asyncio does not report one that the caller drops
        return True


@dataclass(slots=True, eq=False)
class KeyBuffer:
    """The pending events of one exchange and routing key, in the order of the calls."""

    exchange: Exchange
    key: str
    waiting: deque[PendingEvent] = field(default_factory=deque)
    batch: list[PendingEvent] = field(default_factory=list)  # in flight, or to be sent again
    publication: int = 0  # the number of the publication that carries `batch`; 0: not in flight

    def next_batch(self) -> list[PendingEvent]:
        """Return the batch to send: the one whose outcome is unknown, otherwise a new one of the waiting events."""
        if not self.batch:
            self.batch = cut_batch(self.waiting)
        return self.batch

    def drop_transient(self) -> list[PendingEvent]:
        """Remove and return the events that are not sent again after the connection was lost."""
        dropped = [event for event in (*self.batch, *self.waiting) if not event.resend]
        if dropped:
            self.batch = [event for event in self.batch if event.resend]
            self.waiting = deque(event for event in self.waiting if event.resend)
        return dropped


def cut_batch(waiting: deque[PendingEvent]) -> list[PendingEvent]:
    """Remove and return as many events as one body takes: `BATCH_EVENTS` and `BATCH_BYTES`, or one larger event."""
    batch: list[PendingEvent] = []
    size = 1  # the brackets, less the comma that the first event does not have
    while waiting and len(batch) < BATCH_EVENTS:
        size += len(waiting[0].body) + 1
        if batch and size > BATCH_BYTES:
            break
        batch.append(waiting.popleft())
    return batch


class SendBuffer:
    """All key buffers of a bus and the bound over them."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], KeyBuffer] = {}
        self._events = 0
        self._bytes = 0
        self.closed = False

    def __iter__(self) -> Iterator[KeyBuffer]:
        return iter(list(self._buffers.values()))

    def __len__(self) -> int:
        """Return the number of key buffers; each has at least one event."""
        return len(self._buffers)

    def refusal(self, body: bytes, key: str) -> BackchatError | None:
        """Return the error for an event that cannot be added, None for one that can."""
        if self.closed:
            return Unavailable("The bus is closed.")
        if len(body) > EVENT_BYTES_MAX:
            return PayloadTooLarge("The event is too large for the bus.")
        if self._events >= PENDING_EVENTS_MAX or self._bytes + len(body) > PENDING_BYTES_MAX:
            return Unavailable("Too much is waiting for the broker.")
        if len(key.encode()) > KEY_BYTES_MAX:
            return Unavailable("No queue has such a long key.")
        return None

    def add(self, exchange: Exchange, key: str, event: PendingEvent) -> KeyBuffer:
        """Append an event to the buffer of its exchange and key, which is returned."""
        buffer = self._buffers.get((exchange.name, key))
        if buffer is None:
            buffer = self._buffers[exchange.name, key] = KeyBuffer(exchange, key)
        buffer.waiting.append(event)
        self._events += 1
        self._bytes += len(event.body)
        return buffer

    def finish(self, buffer: KeyBuffer, error: BackchatError | None) -> None:
        """Set the outcome of the buffer's batch, and remove the buffer if nothing is left in it."""
        batch, buffer.batch, buffer.publication = buffer.batch, [], 0
        for event in batch:
            event.resolve(error)
        self._release(buffer, batch)

    def drop_transient(self) -> int:
        """Drop the events that are not sent again after the connection was lost. Returns their number."""
        count = 0
        for buffer in self:
            dropped = buffer.drop_transient()
            for event in dropped:
                event.resolve(Unavailable("The connection to the broker was lost."))
            self._release(buffer, dropped)
            count += len(dropped)
        return count

    def expire(self, now: float) -> int:
        """Set overdue outcomes to unknown. Returns their number; the events themselves stay and are still sent."""
        expired = 0
        for buffer in self:
            for events in (buffer.batch, buffer.waiting):
                for event in events:
                    if event.due > now:
                        break
                    expired += event.resolve(Unavailable("The broker did not confirm in time."))
        return expired

    def close(self) -> int:
        """Refuse all further events and give up the pending ones. Returns their number."""
        self.closed = True
        for buffer in self:
            for event in (*buffer.batch, *buffer.waiting):
                event.resolve(Unavailable("The bus was closed."))
        self._buffers.clear()
        return self._events

    def _release(self, buffer: KeyBuffer, events: list[PendingEvent]) -> None:
        self._events -= len(events)
        self._bytes -= sum(len(event.body) for event in events)
        if not buffer.batch and not buffer.waiting:
            del self._buffers[buffer.exchange.name, buffer.key]
