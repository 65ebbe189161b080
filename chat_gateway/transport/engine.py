"""The Engine.IO server: opens sessions with our own connections, and says who watches them."""

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

DETAIL_MAX = 100  # characters of a refusal's detail, which may name what the client sent


class ConnectionObserver(Protocol):
    """What the engine tells its server about connections."""

    def opened(self, connection: Connection) -> None:
        """A connection was made; nobody knows yet whose."""

    def dismissed(self, connection: Connection) -> None:
        """The client on it was told to go; from now on nobody is there."""

    def overflowed(self, connection: Connection) -> None:
        """A client does not read; its connection is being aborted."""

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """The Engine.IO server with our connections. The Socket.IO server sets what is declared here."""

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
        """The queue of a new connection."""
        return OutboundQueue()

    def message(self, connection: Connection, text: str) -> Any:
        """Hand a Socket.IO packet over; an awaitable where something has to be waited for before the next."""
        return self.handlers["message"](connection, text)

    def close_soon(self, connection: Connection) -> None:
        """Close a long-polling session from where nothing can be awaited."""
        task = asyncio.ensure_future(connection.close(wait=False))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _handle_connect(self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        """Open a session; as in python-engineio, with our connection, without JSONP and cookies."""
        if jsonp_index is not None:
            return self._bad_request("JSONP is not served")
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
                self.observer.closed(connection)  # also if it went before its handler began
        connection.connected = True
        return self._ok(await connection.poll())

    def _bad_request(self, message: str | None = None) -> dict[str, Any]:
        """A problem document, in the form that python-engineio has for answers; 400 is what its protocol asks for."""
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
