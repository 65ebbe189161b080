"""The port through which services talk: bytes in, bytes out, at least once, in order for each key.

What an implementation promises, and the contract suite checks on each:

- `publish` returns only when the event is held durably by every queue it was routed to (transient
  exchanges: when the broker has taken it). It raises `Unavailable` when that failed *or is unknown*
  after `PUBLISH_TIMEOUT`; an unknown event is still sent again, under the same id, until its outcome
  is known, and what was published later under its key waits behind it.
- Events of one (exchange, key) reach a queue in the order of their `publish` calls. Group commit: while one
  publication of a key is under way, later ones gather and leave as one body.
- A subscription hands deliveries over in queue order. What was not acked when a subscription or its
  connection ends is delivered again, in the same place, with a higher `delivery_count`.
- Nothing acked is delivered again; an ack for a delivery of an earlier connection is ignored (the
  message comes again, and the receiver drops what it has already applied).
- Memory is bounded: over the bound `publish` raises `Unavailable` at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.contracts.envelope import Event, Received
from shared.contracts.topology import Exchange, Queue

PUBLISH_TIMEOUT = 5.0  # seconds until an outcome counts as unknown
REQUEST_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Delivery:
    """One body taken from a queue, with the events that were published together.

    `delivery_count` is how often it was delivered before without an ack; a crash of the bus itself may
    make it smaller, but not 0 again. `tag` and `epoch` are the implementation's: they name the delivery
    and the connection that it came over.
    """

    body: bytes
    key: str
    delivery_count: int
    tag: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What `take` returns. `gap`: something may have been lost before it (exclusive queues only)."""

    deliveries: Sequence[Delivery]
    gap: bool = False


class Subscription(Protocol):
    """One consumer of one queue. Survives the loss of the connection: it is set up again behind the scenes."""

    async def take(self, most: int = 1_000) -> Batch:
        """Wait for at least one delivery (or a gap) and take all that are there, `most` at most.

        A call that is cancelled while it waits loses nothing.

        Raises:
            Unavailable: the subscription or its bus was closed, before or meanwhile.
        """

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Settle these, which must be the oldest unsettled ones of this subscription for `log` queues.

        What was settled before, or was taken from another subscription or over an earlier connection, is passed over.
        """

    async def bind(self, exchange: Exchange, key: str) -> None:
        """Add a binding to an exclusive queue; effective on return, and again after every reconnect.

        Raises:
            Unavailable: no connection just now; the binding is remembered all the same.
        """

    async def unbind(self, exchange: Exchange, key: str) -> None:
        """Take a binding away; best effort."""

    async def close(self) -> None:
        """Stop consuming and hand back, in order, what was not acked."""


class Bus(Protocol):
    """A connection to the bus. Made, entered and left by the process (`async with`)."""

    @property
    def connected(self) -> bool:
        """Whether publishing and consuming work just now."""

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        """Declare (idempotent), now and after every reconnect; waits for the first connection."""

    async def exists(self, queue: Queue) -> bool:
        """Whether this shared queue is there: false with another number of partitions, or before persistence ran.

        Raises:
            Unavailable: nobody can tell just now.
        """

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        """Queue one event at once, in call order; awaiting the result waits until the bus holds it.

        The result may be dropped by a caller that does not care; nothing is raised here, all when awaited.

        Raises:
            Unavailable: refused, unroutable, or unknown.
            PayloadTooLarge: the encoded event is over `EVENT_BYTES_MAX`.
        """

    def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> Awaitable[None]:
        """Queue several in this order, in one round where possible; awaiting the result waits for all of them.

        Raises:
            Unavailable: one of them at least is not known to be held; the others may be.
            PayloadTooLarge: one of them at least is over `EVENT_BYTES_MAX`; the others may be held.
        """

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """Publish on a transient exchange without waiting; in order for a key; dropped when that is not possible."""

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        """Publish with `replyto` and `deadline` set and wait for the answer.

        Raises:
            Unavailable: not routed, or no answer in time.
        """

    def respond(self, to: Received, answer: Event) -> None:
        """Send `answer` to `to.replyto` with `correlationid` = `to.id`; lost if the sender is gone."""

    async def subscribe(self, queue: Queue, *, prefetch: int) -> Subscription:
        """Declare the queue and consume it, with at most `prefetch` bodies unacked; waits for the first connection."""
