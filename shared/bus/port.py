"""The port through which services exchange events: at least once, and in order for each (exchange, key).

Each implementation guarantees the following, and the contract suite checks it:

- `publish` returns only when every queue to which the event was routed has stored it durably (on transient
  exchanges: when the broker has accepted it). It raises `Unavailable` when that failed *or is unknown*
  after `PUBLISH_TIMEOUT`. An event with an unknown outcome is published again, under the same id, until its
  outcome is known, and later events of its key are published after it.
- Events of one (exchange, key) reach a queue in the order of their `publish` calls. Group commit: while one
  publication of a key is in flight, later events are collected and published as one body.
- A subscription delivers in queue order. Deliveries that were not acknowledged when a subscription or its
  connection ended are redelivered in the same place, with a higher `delivery_count`.
- An acknowledged delivery is never redelivered. An acknowledgement of a delivery from an earlier connection is
  ignored: the message is redelivered, and the receiver drops what it has already applied.
- Memory is bounded: above the bound `publish` raises `Unavailable` at once.
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

    `delivery_count` is the number of earlier deliveries without an acknowledgement; a crash of the bus itself may
    make it smaller, but not 0. `tag` and `epoch` belong to the implementation: they identify the delivery and its
    connection.
    """

    body: bytes
    key: str
    delivery_count: int
    tag: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of `take`. `gap`: messages may have been lost before these (exclusive queues only)."""

    deliveries: Sequence[Delivery]
    gap: bool = False


class Subscription(Protocol):
    """One consumer of one queue. It survives the loss of the connection, after which it is opened again."""

    async def take(self, most: int = 1_000) -> Batch:
        """Wait for at least one delivery (or a gap) and return all that were received, `most` at most.

        A call that is cancelled while it waits loses no delivery.

        Raises:
            Unavailable: the subscription or its bus was closed, before or during the call.
        """

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge these; on `log` queues they must be the oldest unacknowledged ones of this subscription.

        Ignores deliveries that are acknowledged, or belong to another subscription or an earlier connection.
        """

    async def bind(self, exchange: Exchange, key: str) -> None:
        """Add a binding to an exclusive queue; effective on return, and restored after every reconnect.

        Raises:
            Unavailable: no connection at the moment; the binding is added after the reconnect.
        """

    async def unbind(self, exchange: Exchange, key: str) -> None:
        """Remove a binding; best effort."""

    async def close(self) -> None:
        """Stop consuming and requeue, in order, what was not acknowledged."""


class Bus(Protocol):
    """A connection to the bus. The process creates it and enters it with `async with`."""

    @property
    def connected(self) -> bool:
        """Whether the connections for publishing and consuming are open."""

    @property
    def alarms(self) -> Sequence[str]:
        """Why a reachable bus stores no events at the moment, as in `["disk alarm"]`; deliveries and acks continue.

        Then `publish` and `request` raise `Unavailable` after their timeouts, and the events are stored afterwards.
        """

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        """Declare (idempotent), now and after every reconnect. Waits for the first connection."""

    async def exists(self, queue: Queue) -> bool:
        """Whether this shared queue exists: not with another number of partitions, or before persistence ran.

        Raises:
            Unavailable: the broker cannot be asked at the moment.
        """

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        """Buffer one event at once, in call order; awaiting the result waits until the bus has stored the event.

        A caller may drop the result. Errors are raised only when it is awaited.

        Raises:
            Unavailable: refused, unroutable, or unknown.
            PayloadTooLarge: the encoded event is over `EVENT_BYTES_MAX`.
        """

    def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> Awaitable[None]:
        """Buffer several events in this order; awaiting the result waits until the bus has stored all of them.

        Raises:
            Unavailable: at least one event is refused, unroutable or unknown; the rest may be stored.
            PayloadTooLarge: at least one event is over `EVENT_BYTES_MAX`; the rest may be stored.
        """

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """Publish on a transient exchange without an outcome, in order for each key; dropped if not possible."""

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        """Publish with `replyto` and `deadline` set, and wait for the response.

        Raises:
            Unavailable: unroutable, or no response within `timeout` seconds.
        """

    def respond(self, to: Received, answer: Event) -> None:
        """Publish `answer` to `to.replyto` with `correlationid` = `to.id`; lost if the requester is gone."""

    async def subscribe(self, queue: Queue, *, prefetch: int) -> Subscription:
        """Declare and consume a queue, at most `prefetch` bodies unacknowledged. Waits for the first connection."""


def missing_of(bus: Bus) -> list[str]:
    """Return what a service lacks of its bus to be ready: nothing, or `broker` with its active alarms."""
    alarms = bus.alarms
    return ["broker", *alarms] if alarms or not bus.connected else []
