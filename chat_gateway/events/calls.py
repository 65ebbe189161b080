"""Calls: client events in flight, of sockets and of the HTTP API. Each is answered exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from chat_gateway.domain.rate_limits import RateLimiter
from chat_gateway.metrics import Metrics
from chat_gateway.protocol import acks
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.caller import Caller
from chat_gateway.transport import frames
from shared.errors import BackchatError, Internal, RateLimited, Unavailable

logger = structlog.get_logger(__name__)

DEADLINE = 5.7  # seconds from arrival to ack; the contract promises an ack within 6
REFUSALS_PER_SECOND = 1_000.0  # refusals of invalid or rate-limited events, of all sockets together
# Refusals for lack of capacity, of all sockets together. A higher rate would take CPU from the accepted events.
OVERLOAD_REFUSALS_PER_SECOND = 250.0


class Call(ABC):
    """One client event, from its arrival to its answer. `arrived_at` is monotonic (seconds).

    `if_seq`: the numbers of the session (`Session.seq`) at which a change may apply; `None`: at any. `created`: whether
    `start_chat` created its session, set before the answer.
    """

    __slots__ = ("_answered", "_calls", "arrived_at", "caller", "created", "event", "if_seq")

    def __init__(self, calls: Calls, caller: Caller, event: str, arrived_at: float) -> None:
        self.caller = caller
        self.event = event
        self.arrived_at = arrived_at
        self.if_seq: list[int] | None = None
        self.created = True
        self._calls = calls
        self._answered = False

    @property
    def remaining(self) -> float:
        """Seconds until the call must be answered, at least 0.05."""
        return max(0.05, self.arrived_at + DEADLINE - time.monotonic())

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.arrived_at + DEADLINE

    def accept(self, fields: dict[str, Any]) -> None:
        """Answer with success and these fields. Does nothing if the call is already answered."""
        self._answer("ok", fields, None)

    def refuse(self, error: BackchatError) -> None:
        """Answer with an error, which may also mean an unknown outcome. Does nothing if already answered."""
        self._answer(error.code, {}, error)

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

    def _answer(self, code: str, fields: dict[str, Any], error: BackchatError | None) -> None:
        if self._answered:
            return
        # May raise for fields that are not JSON; the call is then still open and refused as `internal`.
        encoded = self._encode(fields, error)
        self._answered = True
        self._calls.ended(self, code)
        self._deliver(encoded)

    @abstractmethod
    def _encode(self, fields: dict[str, Any], error: BackchatError | None) -> Any:
        """Return the answer as this client takes it; `error` is `None` for success."""

    @abstractmethod
    def _deliver(self, encoded: Any) -> None:
        """Send a result of `_encode`."""


class SocketCall(Call):
    """An event of Socket.IO, answered by an ack if it has an ack id."""

    __slots__ = ("ack_id",)

    def __init__(self, calls: Calls, caller: Caller, ack_id: int | None, event: str, arrived_at: float) -> None:
        super().__init__(calls, caller, event, arrived_at)
        self.ack_id = ack_id

    def _encode(self, fields: dict[str, Any], error: BackchatError | None) -> frames.Frame | None:
        if self.ack_id is None:
            return None
        return frames.ack(self.ack_id, acks.accepted(fields) if error is None else acks.refused(error))

    def _deliver(self, encoded: frames.Frame | None) -> None:
        if encoded is not None:
            self.caller.send(encoded)


class RequestCall(Call):
    """A request of the HTTP API, answered by a result or an exception of `answer`."""

    __slots__ = ("answer",)

    def __init__(self, calls: Calls, caller: Caller, event: str, arrived_at: float) -> None:
        super().__init__(calls, caller, event, arrived_at)
        self.answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def _encode(self, fields: dict[str, Any], error: BackchatError | None) -> dict[str, Any] | BackchatError:
        return fields if error is None else error

    def _deliver(self, encoded: dict[str, Any] | BackchatError) -> None:
        if self.answer.done():  # cancelled, because the client has disconnected
            return
        if isinstance(encoded, BackchatError):
            self.answer.set_exception(encoded)
        else:
            self.answer.set_result(encoded)


Handler = Callable[[Call, Any], Awaitable[None]]  # handles one kind of event: answers the call, or raises


class Calls:
    """All calls that are not answered yet."""

    def __init__(self, metrics: Metrics, settings: GatewaySettings) -> None:
        self._metrics = metrics
        self._max = settings.events_in_flight_all
        self._max_of_caller = settings.events_in_flight
        self._open = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._refusals = RateLimiter(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self._overload_refusals = RateLimiter(OVERLOAD_REFUSALS_PER_SECOND, OVERLOAD_REFUSALS_PER_SECOND)
        metrics.in_flight.set_function(lambda: self._open)

    def __len__(self) -> int:
        return self._open

    def begin(self, socket: Caller, ack_id: int | None, event: str, arrived_at: float | None = None) -> SocketCall:
        """Open a call for an event that arrived at `arrived_at` (monotonic seconds; default: now)."""
        self._count(socket)
        return SocketCall(self, socket, ack_id, event, time.monotonic() if arrived_at is None else arrived_at)

    def begin_request(self, caller: Caller, event: str, held: float) -> RequestCall:
        """Open a call for a request of the HTTP API that was held for some seconds before."""
        self._count(caller)
        return RequestCall(self, caller, event, time.monotonic() - held)

    def _count(self, caller: Caller) -> None:
        caller.in_flight += 1
        self._open += 1
        self._all_answered.clear()

    def check_capacity(self, caller: Caller) -> None:
        """Check the bounds on calls in flight, with the newest call of this caller included.

        Raises:
            RateLimited: this caller has too many.
            Unavailable: all callers together have too many.
        """
        if caller.in_flight > self._max_of_caller:
            raise RateLimited("Too many events of this client are unanswered.", retry_after=0.5)
        if self._open > self._max:
            raise Unavailable("This gateway is overloaded.", retry_after=overload_retry_after())

    def pause_after_refusal(self, caller: Caller, error: BackchatError) -> float:
        """Return for how many seconds to stop reading from a client that was just refused with `error`.

        During the pause its packets stay in the client's own buffers and cost nothing here. A client that waits for
        `retry_after` does not notice it. Overload refusals pause a client only if it is refused more often than one
        that always waits for `retry_after`; clients over that rate share `OVERLOAD_REFUSALS_PER_SECOND`.
        """
        now, refusals = time.monotonic(), caller.refusals
        if isinstance(error, Unavailable):
            # `held` is subtracted because the client could not send while it was paused.
            if not refusals.overload.delay(now - refusals.held):
                return 0.0
            pause = self._overload_refusals.delay(now)
            refusals.held += pause
            return pause
        return max(refusals.recent.delay(now), self._refusals.delay(now))

    def ended(self, call: Call, code: str) -> None:
        """Count a call as answered with `code`."""
        call.caller.in_flight -= 1
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
