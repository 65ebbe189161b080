"""An authenticated socket, and the callbacks by which the server passes its events on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from chat_gateway.identity.authentication import Identity
from chat_gateway.sockets.caller import Refusals
from chat_gateway.sockets.lanes import Lanes
from chat_gateway.transport import frames
from chat_gateway.transport.connection import Connection


class Socket:
    """One authenticated client of Socket.IO. Implements `Caller`.

    `joined` are the ids of the sessions it has joined. `valid_until` is the expiry of its token (monotonic seconds).
    """

    __slots__ = (
        "connection",
        "expiry",
        "identity",
        "in_flight",
        "joined",
        "lanes",
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
        self.refusals = Refusals()
        self.valid_until = float("-inf")
        self.expiry: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether the client is still connected."""
        return self.connection.socket is self

    @property
    def receives(self) -> bool:
        """A socket can join sessions."""
        return True

    async def wait_until_read(self) -> None:
        """Wait until the client has read most of its frames."""
        await self.connection.wait_until_read()

    @property
    def follows(self) -> None:
        """A socket receives all of its user."""
        return None

    def send(self, frame: frames.Frame) -> None:
        """Queue a frame; does nothing after the client has disconnected."""
        if self.connection.socket is self:
            self.connection.enqueue(frame)

    def dismiss(self, *last_words: frames.Frame) -> None:
        """Send the last frames and disconnect the client so that a stock client does not reconnect automatically."""
        for frame in last_words:
            self.send(frame)
        if self.open:
            self.connection.dismiss()


class SocketCallbacks(Protocol):
    """What the server calls for its sockets; implemented by `chat_gateway.gateway.Gateway`."""

    async def identify(self, token: Any) -> Identity:
        """Check the token of a connect; raises `BackchatError` to refuse it."""

    async def register(self, socket: Socket) -> None:
        """Register a socket; raises `BackchatError` to refuse it. `disconnected` is called in both cases."""

    def connected(self, socket: Socket) -> None:
        """Welcome a socket that may now send events."""

    def handle_event(
        self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any]
    ) -> Awaitable[None] | None:
        """Handle a client event; never raises. The result, if any, is awaited before the next event is read."""

    def handle_malformed(self, socket: Socket, ack_id: int) -> Awaitable[None] | None:
        """Refuse a packet that is not an event but has an ack id; the result is as in `handle_event`."""

    def disconnected(self, socket: Socket) -> None:
        """Unregister a socket."""
