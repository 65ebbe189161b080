"""The Engine.IO server: opens sessions with `Connection`, and reports them to a `ConnectionObserver`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import engineio
from engineio import packet as engineio_packet
from starlette.types import Scope

from chat_gateway.transport.connection import Connection
from chat_gateway.transport.outbound_queue import OutboundQueue
from chat_gateway.transport.request_environ import translate_request
from shared.errors import InvalidRequest
from shared.http.problems import PROBLEM_JSON, problem

DETAIL_MAX = 100  # characters of a refusal's detail, which may contain text from the client


class ConnectionObserver(Protocol):
    """What the engine reports about connections."""

    def opened(self, connection: Connection) -> None:
        """Called for a new connection, which is not authenticated."""

    def dismissed(self, connection: Connection) -> None:
        """Called after the client was sent a disconnect; the connection has no socket from now on."""

    def overflowed(self, connection: Connection) -> None:
        """Called before a connection is aborted because its client does not read."""

    def closed(self, connection: Connection) -> None:
        """Called after a connection has ended, possibly twice."""


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """The Engine.IO server. `SocketServer` sets the declared attributes; `read_within` is in seconds."""

    sockets: dict[str, Connection]
    _async: dict[str, Any]
    start_service_task: bool
    observer: ConnectionObserver
    address_of: Callable[[Scope], str]
    outbound_packets: int
    outbound_bytes: int
    read_within: float

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._async = {**self._async, "translate_request": translate_request}
        self._closing: set[asyncio.Future[None]] = set()

    def create_queue(self, *_args: Any, **_kwargs: Any) -> OutboundQueue:
        """Return the queue of a new connection."""
        return OutboundQueue()

    def message(self, connection: Connection, text: str) -> Any:
        """Pass a Socket.IO packet on; the result, if any, must be awaited before the next packet."""
        return self.handlers["message"](connection, text)

    def close_soon(self, connection: Connection) -> None:
        """Close a long-polling session in a task, for callers that cannot await."""
        task = asyncio.ensure_future(connection.close(wait=False))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _handle_connect(self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        """Open a session as python-engineio does, but with `Connection`, without JSONP and cookies."""
        if jsonp_index is not None:
            return self._bad_request("JSONP is not supported")
        if self.start_service_task:
            self.start_service_task = False
            self.service_task_handle = self.start_background_task(self._service_task)
        sid = self.generate_id()
        connection = Connection(self, sid)
        connection.address = self.address_of(environ["asgi.scope"])
        self.sockets[sid] = connection
        connection.enqueue(engineio_packet.Packet(engineio_packet.OPEN, self._handshake_data(sid, transport)))
        await self._trigger_event("connect", sid, environ, run_async=False)
        self.observer.opened(connection)
        connection.schedule_ping()
        if transport == "websocket":
            try:
                return await connection.handle_get_request(environ)
            finally:
                self.sockets.pop(sid, None)
                connection.stop_pinging()
                self.observer.closed(connection)  # also if the client left before its handler began
        connection.connected = True
        return self._ok(await connection.poll())

    def _bad_request(self, message: str | None = None) -> dict[str, Any]:
        """Return a problem document as a response of python-engineio; its protocol requires status 400."""
        refusal = problem(InvalidRequest(message and message[:DETAIL_MAX]), status=400)
        headers = [("Content-Type", PROBLEM_JSON)]
        return {"status": "400 BAD REQUEST", "headers": headers, "response": bytes(refusal.body)}

    def _handshake_data(self, sid: str, transport: str) -> dict[str, Any]:
        return {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
