"""Calls: client events in flight. Each is acked exactly once, and their number is bounded."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from chat_gateway.domain.rate_limits import RateLimiter
from chat_gateway.metrics import Metrics
from chat_gateway.protocol import acks
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.socket import Socket
from chat_gateway.transport import frames
from shared.errors import BackchatError, Internal, RateLimited, Unavailable

logger = structlog.get_logger(__name__)

DEADLINE = 5.7  # seconds from arrival to ack; the contract promises an ack within 6
REFUSALS_PER_SECOND = 1_000.0  # refusals of invalid or rate-limited events, of all sockets together
# Refusals for lack of capacity, of all sockets together. A higher rate would take CPU from the accepted events.
OVERLOAD_REFUSALS_PER_SECOND = 250.0


class Call:
    """One client event, from its arrival to its ack. `arrived_at` is monotonic (seconds)."""

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
        """Seconds until the call must be acked, at least 0.05."""
        return max(0.05, self.arrived_at + DEADLINE - time.monotonic())

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.arrived_at + DEADLINE

    def accept(self, fields: dict[str, Any]) -> None:
        """Ack success with these fields. Does nothing if the call is already acked."""
        self._answer("ok", acks.accepted(fields))

    def refuse(self, error: BackchatError) -> None:
        """Ack an error, which may also mean an unknown outcome. Does nothing if the call is already acked."""
        self._answer(error.code, acks.refused(error))

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work` within the remaining time and refuse the call with the error it raises."""
        try:
            if self.overdue:  # it waited in its lane
                raise Unavailable
            async with asyncio.timeout(self.remaining):
                await work()
        except BackchatError as error:
            self.refuse(error)
        except TimeoutError:
            self.refuse(Unavailable())
        except Exception:
            logger.exception("client_event.failed", name=self.event)
            self.refuse(Internal())

    def _answer(self, code: str, body: dict[str, Any]) -> None:
        if self._answered:
            return
        # May raise for fields that are not JSON; the call is then still open and refused as `internal`.
        frame = frames.ack(self.ack_id, body) if self.ack_id is not None else None
        self._answered = True
        self._calls.ended(self, code)
        if frame is not None:
            self.socket.send(frame)


Handler = Callable[[Call, Any], Awaitable[None]]  # handles one kind of event: acks the call, or raises


class Calls:
    """All calls that are not acked yet."""

    def __init__(self, metrics: Metrics, settings: GatewaySettings) -> None:
        self._metrics = metrics
        self._max = settings.events_in_flight_all
        self._max_of_socket = settings.events_in_flight
        self._open = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._refusals = RateLimiter(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self._overload_refusals = RateLimiter(OVERLOAD_REFUSALS_PER_SECOND, OVERLOAD_REFUSALS_PER_SECOND)
        metrics.in_flight.set_function(lambda: self._open)

    def __len__(self) -> int:
        return self._open

    def begin(self, socket: Socket, ack_id: int | None, event: str, arrived_at: float | None = None) -> Call:
        """Open a call for an event that arrived at `arrived_at` (monotonic seconds; default: now)."""
        socket.in_flight += 1
        self._open += 1
        self._all_answered.clear()
        return Call(self, socket, ack_id, event, time.monotonic() if arrived_at is None else arrived_at)

    def check_capacity(self, socket: Socket) -> None:
        """Check the bounds on calls in flight, with the newest call of this socket included.

        Raises:
            RateLimited: this socket has too many.
            Unavailable: all sockets together have too many.
        """
        if socket.in_flight > self._max_of_socket:
            raise RateLimited("Too many events of this socket are unanswered.", retry_after=0.5)
        if self._open > self._max:
            raise Unavailable("This gateway is overloaded.", retry_after=overload_retry_after())

    def pause_after_refusal(self, socket: Socket, error: BackchatError) -> float:
        """Return for how many seconds to stop reading from a socket that was just refused with `error`.

        During the pause its packets stay in the client's own buffers and cost nothing here. A client that waits for
        `retry_after` does not notice it. Overload refusals pause a socket only if it is refused more often than one
        that always waits for `retry_after`; sockets over that rate share `OVERLOAD_REFUSALS_PER_SECOND`.
        """
        now = time.monotonic()
        if isinstance(error, Unavailable):
            # `held` is subtracted because the socket could not send while it was paused.
            if not socket.overload_refusals.delay(now - socket.held):
                return 0.0
            pause = self._overload_refusals.delay(now)
            socket.held += pause
            return pause
        return max(socket.refusals.delay(now), self._refusals.delay(now))

    def ended(self, call: Call, code: str) -> None:
        """Count a call as acked with `code`."""
        call.socket.in_flight -= 1
        self._open -= 1
        if not self._open:
            self._all_answered.set()
        self._metrics.event_answered(call.event, code, time.monotonic() - call.arrived_at)

    async def wait_all_answered(self) -> None:
        """Wait until no call is open."""
        await self._all_answered.wait()


def overload_retry_after() -> float:
    """Return a random `retry_after` in seconds, so that refused clients do not all retry at once."""
    return random.uniform(0.5, 1.5)  # noqa: S311 - no secret
