"""One authenticated client, and who decides about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from chat_gateway.domain.rate_limits import RateLimiter
from chat_gateway.identity.authentication import Identity
from chat_gateway.sockets.lanes import Lanes
from chat_gateway.transport import frames
from chat_gateway.transport.connection import Connection

REFUSALS_PER_SECOND = 200.0  # events of one socket refused at once; after that it is listened to more slowly
OVERLOAD_BURST = 32.0  # refusals of one socket for want of time that pause nothing: what was on its way by then,
OVERLOAD_PER_SECOND = 4.0  # and afterwards what a client with a few events at once gets that waits as it is told


class Socket:
    """One authenticated client. `joined` are the sessions that it receives, `valid_until` is monotonic (seconds).

    `held` are the seconds for which it was not listened to for want of time, all together.
    """

    __slots__ = (
        "connection",
        "expiry",
        "held",
        "identity",
        "in_flight",
        "joined",
        "lanes",
        "overload_refusals",
        "refusals",
        "sid",
        "user_id",
        "valid_until",
    )

    def __init__(self, connection: Connection, sid: str, identity: Identity) -> None:
        self.connection = connection
        self.sid = sid
        self.identity = identity
        self.user_id = identity.user_id
        self.in_flight = 0
        self.joined: set[str] = set()
        self.lanes = Lanes()
        self.refusals = RateLimiter(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self.overload_refusals = RateLimiter(OVERLOAD_PER_SECOND, OVERLOAD_BURST)
        self.held = 0.0
        self.valid_until = float("-inf")
        self.expiry: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether somebody is still there."""
        return self.connection.socket is self

    def send(self, frame: frames.Frame) -> None:
        """Queue a frame; nothing once the client is gone."""
        if self.connection.socket is self:
            self.connection.enqueue(frame)

    def dismiss(self, *last_words: frames.Frame) -> None:
        """Send the client away for good: it may say nothing more, and a stock client does not come back by itself."""
        for frame in last_words:
            self.send(frame)
        if self.open:
            self.connection.dismiss()


class SocketCallbacks(Protocol):
    """Who decides about sockets: the gateway."""

    async def identify(self, token: Any) -> Identity:
        """Who that is, or a `BackchatError`."""

    async def register(self, socket: Socket) -> None:
        """Let a socket in, or raise a `BackchatError`; `goodbye` follows in both cases, in the end."""

    def connected(self, socket: Socket) -> None:
        """The socket is connected."""

    def handle_event(
        self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any]
    ) -> Awaitable[None] | None:
        """A client event; never raises. What it returns is awaited before the next one is taken."""

    def handle_malformed(self, socket: Socket, ack_id: int) -> Awaitable[None] | None:
        """An event that is none, but can be answered; as `event`."""

    def disconnected(self, socket: Socket) -> None:
        """The socket is gone."""
