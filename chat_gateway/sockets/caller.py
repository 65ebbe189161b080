"""What a client event needs of its sender: a socket, or a request of the HTTP API."""

from __future__ import annotations

from typing import Protocol

from chat_gateway.domain.rate_limits import RateLimiter
from chat_gateway.sockets.lanes import Lanes
from chat_gateway.sockets.recipients import Recipient

REFUSALS_PER_SECOND = 200.0  # also the burst; a client that is refused more often is read more slowly
# Overload refusals that do not pause reading: a burst for the events that were in flight when the overload began, and
# then the rate of a client that keeps a few events in flight and waits for each `retry_after`.
OVERLOAD_BURST = 32.0
OVERLOAD_PER_SECOND = 4.0


class Refusals:
    """How often a client was refused lately. `held`: total seconds of pauses because of overload."""

    __slots__ = ("held", "overload", "recent")

    def __init__(self) -> None:
        self.recent = RateLimiter(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self.overload = RateLimiter(OVERLOAD_PER_SECOND, OVERLOAD_BURST)
        self.held = 0.0


class Caller(Recipient, Protocol):
    """The sender of client events. `in_flight` counts its unanswered events."""

    lanes: Lanes
    refusals: Refusals
    in_flight: int

    async def wait_until_read(self) -> None:
        """Wait until the client has read most of its frames."""
