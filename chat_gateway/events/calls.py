"""Calls: client events on their way, each answered exactly once, all of them together bounded."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from chat_gateway.domain.rate_limits import RateLimiter
from chat_gateway.metrics import Metrics
from chat_gateway.protocol import parsing
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.socket import Socket
from chat_gateway.transport import frames
from shared.errors import BackchatError, RateLimited, Unavailable

DEADLINE = 5.7  # seconds for a whole event; the contract promises an answer within 6
REFUSALS_PER_SECOND = 1_000.0  # of all sockets together, for what they did wrong
OVERLOAD_REFUSALS_PER_SECOND = (
    250.0  # of those that went on, for want of time: more would take it from what is not refused
)


class Call:
    """One client event, from its arrival to its ack."""

    __slots__ = ("_answered", "_calls", "ack_id", "arrived_at", "event", "socket")

    def __init__(self, calls: Calls, socket: Socket, ack_id: int | None, event: str, arrived_at: float) -> None:
        self.socket = socket
        self.ack_id = ack_id
        self.event = event
        self.arrived_at = arrived_at
        self._calls = calls
        self._answered = False

    @property
    def remaining(self) -> float:
        """Seconds until it has to be answered."""
        return max(0.05, self.arrived_at + DEADLINE - time.monotonic())

    @property
    def overdue(self) -> bool:
        """Whether its time was over before it was begun."""
        return time.monotonic() >= self.arrived_at + DEADLINE

    def accept(self, fields: dict[str, Any]) -> None:
        """Answer that it was done."""
        self._answer("ok", parsing.accepted(fields))

    def refuse(self, error: BackchatError) -> None:
        """Answer that it was not done, or that this is unknown."""
        self._answer(error.code, parsing.refused(error))

    def _answer(self, code: str, body: dict[str, Any]) -> None:
        if self._answered:
            return
        frame = frames.ack(self.ack_id, body) if self.ack_id is not None else None  # if it raises, it stays open
        self._answered = True
        self._calls.ended(self, code)
        if frame is not None:
            self.socket.send(frame)


Handler = Callable[[Call, Any], Awaitable[None]]  # does one kind of event: answers its call, or raises


class Calls:
    """All calls that are not answered yet."""

    def __init__(self, metrics: Metrics, settings: GatewaySettings) -> None:
        self._metrics = metrics
        self._max = settings.events_in_flight_all
        self._max_of_socket = settings.events_in_flight
        self._open = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._refusals = RateLimiter(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self._overloaded = RateLimiter(OVERLOAD_REFUSALS_PER_SECOND, OVERLOAD_REFUSALS_PER_SECOND)
        metrics.in_flight.set_function(lambda: self._open)

    def __len__(self) -> int:
        return self._open

    def begin(self, socket: Socket, ack_id: int | None, event: str, arrived_at: float | None = None) -> Call:
        """A client event has arrived, just now or at that time (monotonic, in seconds)."""
        socket.in_flight += 1
        self._open += 1
        self._all_answered.clear()
        return Call(self, socket, ack_id, event, time.monotonic() if arrived_at is None else arrived_at)

    def check_capacity(self, socket: Socket) -> None:
        """Whether there is room for the newest call of this socket.

        Raises:
            RateLimited: this socket has too many unanswered ones.
            Unavailable: all sockets together have.
        """
        if socket.in_flight > self._max_of_socket:
            raise RateLimited("Too many events without an answer.", retry_after=0.5)
        if self._open > self._max:
            raise Unavailable("This gateway has too much to do.", retry_after=overload_retry_after())

    def pause_after_refusal(self, socket: Socket, error: BackchatError) -> float:
        """How many seconds not to listen to a client that was refused just now.

        What it sends meanwhile stays in its own machine, and costs nothing here; who waits for `retry_after`
        before it sends again does not notice. For want of time nobody is held who was refused no oftener than
        somebody who waits; those who go on share what answers there is time for.
        """
        now = time.monotonic()
        if isinstance(error, Unavailable):
            if not socket.overload_refusals.delay(now - socket.held):  # by a clock that stands still while it is held
                return 0.0
            held = self._overloaded.delay(now)
            socket.held += held
            return held
        return max(socket.refusals.delay(now), self._refusals.delay(now))

    def ended(self, call: Call, code: str) -> None:
        """A call is answered."""
        call.socket.in_flight -= 1
        self._open -= 1
        if not self._open:
            self._all_answered.set()
        self._metrics.event_answered(call.event, code, time.monotonic() - call.arrived_at)

    async def wait_all_answered(self) -> None:
        """Wait until none is open."""
        await self._all_answered.wait()


def overload_retry_after() -> float:
    """The `retry_after` of a refusal under load, in seconds: spread, so that the refused do not return at once."""
    return random.uniform(0.5, 1.5)  # noqa: S311 - no secret
