"""The gateway: registers sockets, passes their events on, and drains on shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable
from typing import Any

import structlog

from chat_gateway.events.calls import Calls
from chat_gateway.events.client_events import ClientEvents
from chat_gateway.events.logins import Logins
from chat_gateway.events.welcome import ready_of
from chat_gateway.http.public_app import PublicApp
from chat_gateway.identity.authentication import Identity, KeyTable
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sessions.joining import Sessions
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.server import SocketServer
from chat_gateway.sockets.socket import Socket
from chat_gateway.transport import frames
from shared.bus.port import Bus, missing_of
from shared.contracts.topology import log_queue
from shared.errors import BackchatError, Unavailable

logger = structlog.get_logger(__name__)

REGISTER_WITHIN = 5.0  # seconds that a connect waits for the bus
LOG_CHECK_EVERY = 5.0  # seconds
LOG_CHECK_FIRST = 0.5  # seconds, until the log exists
ANSWER_WITHIN = 3.5  # seconds of a shutdown in which open calls are answered
CLOSE_WITHIN = 1.0  # seconds of a shutdown over which the sockets are closed
RETRY_AFTER_MAX = 2.0  # seconds, `retry_after` of `going_away`


class Gateway:
    """Admits sockets, routes their events, and drains on shutdown. Implements `SocketCallbacks`."""

    def __init__(
        self,
        bus: Bus,
        keys: KeyTable,
        logins: Logins,
        sessions: Sessions,
        connected_users: ConnectedUsers,
        calls: Calls,
        events: ClientEvents,
        settings: GatewaySettings,
    ) -> None:
        self._bus = bus
        self._keys = keys
        self._logins = logins
        self._revocation = logins.revocation
        self._sessions = sessions
        self._connected_users = connected_users
        self._calls = calls
        self._events = events
        self._settings = settings
        self._log_exists = False

    def missing(self) -> list[str]:
        """Return what the gateway lacks to be ready."""
        missing = missing_of(self._bus)
        if not self._keys.loaded:
            missing.append("keys")
        if not self._revocation.answered:
            missing.append("revocations")
        if not self._log_exists:
            missing.append("log")
        return missing

    async def watch_log(self) -> None:
        """Check periodically that the log exists, until cancelled; it does not with another number of partitions."""
        queue = log_queue(0, self._settings.partitions)
        while True:
            with contextlib.suppress(BackchatError):  # the bus is not connected, which `missing` reports
                self._log_exists = await self._bus.exists(queue)
            await asyncio.sleep(LOG_CHECK_EVERY if self._log_exists else LOG_CHECK_FIRST)

    async def identify(self, token: Any) -> Identity:
        """Return the identity of a token; raises `BackchatError` if it is refused or cannot be checked."""
        if self._events.stopping or not self._bus.connected:
            raise Unavailable(retry_after=1.0)
        return await self._logins.identify(token)

    async def register(self, socket: Socket) -> None:
        """Add a socket, and receive the deliveries for its user."""
        await self._connected_users.add(socket, REGISTER_WITHIN)

    def connected(self, socket: Socket) -> None:
        """Send `ready`, and watch the socket's token."""
        socket.send(frames.event("ready", ready_of(socket.identity, self._settings)))
        self._logins.begin(socket)

    def handle_event(
        self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any]
    ) -> Awaitable[None] | None:
        """Handle a client event; the result, if any, must be awaited before the next event of the socket."""
        now = time.monotonic()
        if now <= self._revocation.fresh_until and now < socket.valid_until:
            return self._events.take(socket, ack_id, name, arguments)
        return self._hold(socket, ack_id, name, arguments, now)

    async def _hold(self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any], since: float) -> None:
        """Handle an event after the list of revoked logins is fresh, or the wait for it was too long."""
        await self._revocation.wait_until_fresh()
        if not socket.open:
            return
        if time.monotonic() >= socket.valid_until:  # the timer is late if the clock was set back
            self._logins.expired(socket)
        else:
            waiting = self._events.take(socket, ack_id, name, arguments, since)
            if waiting is not None:
                await waiting

    def handle_malformed(self, socket: Socket, ack_id: int) -> Awaitable[None] | None:
        """Refuse a packet that is not an event but has an ack id."""
        return self._events.refuse_malformed(socket, ack_id)

    def disconnected(self, socket: Socket) -> None:
        """Remove a socket."""
        self._logins.end(socket)
        self._connected_users.remove(socket)
        for key in socket.joined:
            self._sessions.leave(socket, key)
        socket.joined.clear()

    async def drain(self, server: SocketServer, app: PublicApp) -> None:
        """Drain on shutdown: refuse new events, send `going_away`, answer open calls, and close all connections."""
        app.stopping = self._events.stopping = True
        for socket in self._connected_users.all_sockets():
            retry_after = round(random.uniform(0.1, RETRY_AFTER_MAX), 3)  # noqa: S311 - spreads the reconnects
            socket.send(frames.event("going_away", {"retry_after": retry_after}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._calls.wait_all_answered()
        connections = server.connections
        random.shuffle(connections)
        for number, connection in enumerate(connections, 1):
            connection.close_after_flush()
            if number % max(1, len(connections) // 50) == 0:
                await asyncio.sleep(CLOSE_WITHIN / 50)
        logger.info("gateway.drained", connections=len(connections), unanswered=len(self._calls))
