"""The gateway as a whole: lets sockets in and out, and stops without losing anything."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable
from typing import Any

import structlog

from chat_gateway.events import token_expiry
from chat_gateway.events.calls import Calls
from chat_gateway.events.client_events import ClientEvents
from chat_gateway.events.logins import Logins
from chat_gateway.http.public_app import PublicApp
from chat_gateway.identity.authentication import Identity, KeyTable
from chat_gateway.protocol.server_events import PROTOCOL
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sessions.joining import Sessions
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.server import SocketServer
from chat_gateway.sockets.socket import Socket
from chat_gateway.transport import frames
from shared.bus.port import Bus
from shared.contracts.payload import rfc3339, utc_now
from shared.contracts.topology import log_queue
from shared.contracts.views import USER_CONTENT_MAX
from shared.errors import BackchatError, Unavailable
from shared.runtime.process import FRAME_MAX

logger = structlog.get_logger(__name__)

ENTER_WITHIN = 5.0  # seconds that a connect waits for the bus
LOG_CHECK_EVERY = 5.0  # seconds
LOG_CHECK_FIRST = 0.5  # seconds, as long as the log was not there
ANSWER_WITHIN = 3.5  # seconds of a stop for what is not yet answered
CLOSE_WITHIN = 1.0  # seconds of a stop over which sockets are closed
RETRY_AFTER_MAX = 2.0  # seconds, `retry_after` of `going_away`


class Gateway:
    """Who is let in, and the stop. The doorkeeper of `SocketServer`."""

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
        self._log_there = False

    def missing(self) -> list[str]:
        """What it lacks to be of use."""
        lacks = []
        if not self._bus.connected:
            lacks.append("broker")
        if not self._keys.loaded:
            lacks.append("keys")
        if not self._revocation.answered:
            lacks.append("revocations")
        if not self._log_there:
            lacks.append("log")
        return lacks

    async def watch_log(self) -> None:
        """Keep an eye on the log's queues: with another number of partitions there are none."""
        queue = log_queue(0, self._settings.partitions)
        while True:
            with contextlib.suppress(BackchatError):  # the bus is away, and `missing` says so
                self._log_there = await self._bus.exists(queue)
            await asyncio.sleep(LOG_CHECK_EVERY if self._log_there else LOG_CHECK_FIRST)

    async def identify(self, token: Any) -> Identity:
        """Who that is, or a `BackchatError`."""
        if self._events.stopping or not self._bus.connected:
            raise Unavailable(retry_after=1.0)
        return await self._logins.identify(token)

    async def register(self, socket: Socket) -> None:
        """Count the socket in, and receive what is for its user."""
        await self._connected_users.add(socket, ENTER_WITHIN)

    def connected(self, socket: Socket) -> None:
        """Tell the client what it has to know."""
        settings = self._settings
        ready = {
            "user_id": socket.user_id,
            "token_expires_at": token_expiry.expires_at(socket.identity),
            "server_time": rfc3339(utc_now()),
            "protocol": PROTOCOL,
            "limits": {
                "content": USER_CONTENT_MAX,
                "frame": FRAME_MAX,
                "events_per_second": settings.events_per_second,
                "burst": settings.events_burst,
                "users": settings.users_max,
                "chatbots": settings.chatbots_max,
            },
        }
        socket.send(frames.event("ready", ready))
        self._logins.begin(socket)

    def handle_event(
        self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any]
    ) -> Awaitable[None] | None:
        """A client event; what it returns is awaited before the next one is taken."""
        now = time.monotonic()
        if now <= self._revocation.fresh_until and now < socket.valid_until:
            return self._events.take(socket, ack_id, name, arguments)
        return self._hold(socket, ack_id, name, arguments, now)

    async def _hold(self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any], since: float) -> None:
        """Take the event once it is known, or cannot be known in time, whether the login still stands."""
        await self._revocation.wait_until_fresh()
        if not socket.open:
            return
        if time.monotonic() >= socket.valid_until:  # the timer comes late after the clock was set back
            self._logins.expired(socket)
        else:
            waiting = self._events.take(socket, ack_id, name, arguments, since)
            if waiting is not None:
                await waiting

    def handle_malformed(self, socket: Socket, ack_id: int) -> Awaitable[None] | None:
        """What is no event, but can be answered."""
        return self._events.refuse_malformed(socket, ack_id)

    def disconnected(self, socket: Socket) -> None:
        """Forget a socket."""
        self._logins.end(socket)
        self._connected_users.remove(socket)
        for key in socket.joined:
            self._sessions.leave(socket, key)
        socket.joined.clear()

    async def drain(self, server: SocketServer, app: PublicApp) -> None:
        """Stop: take nothing more, say so, answer what was taken, send everybody elsewhere."""
        app.stopping = self._events.stopping = True
        for socket in self._connected_users.all_sockets():
            retry_after = round(random.uniform(0.1, RETRY_AFTER_MAX), 3)  # noqa: S311 - spreads the storm
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
        logger.info("sockets sent elsewhere", connections=len(connections), unanswered=len(self._calls))
