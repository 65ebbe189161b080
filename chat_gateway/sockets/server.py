"""The Socket.IO server: connects and disconnects sockets, and passes their packets to `SocketCallbacks`.

A subclass of python-socketio's server. Clients cannot call its lifecycle handlers, only text packets are read, events
are handled in the order of arrival, and a failed connect leaves no state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import socketio
import structlog
from socketio import packet as socketio_packet

from chat_gateway.identity.authentication import token_of
from chat_gateway.metrics import Metrics
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.admission import Admission
from chat_gateway.sockets.socket import Socket, SocketCallbacks
from chat_gateway.transport.connection import FRAME_MAX, Connection
from chat_gateway.transport.engine import Engine
from chat_gateway.transport.packets import Binary, Malformed, TextPacket
from shared.errors import BackchatError, Internal

logger = structlog.get_logger(__name__)

AUTHENTICATE_WITHIN = 10.0  # seconds (contract.md §3.1)
WATCH_EVERY = 1.0  # seconds
BUFFERED_MAX = 1024 * 1024  # bytes written and not read by a client: the queue's bound, plus pongs
LOGGED_ONCE = (  # messages that python-engineio logs the first time, with text from the client
    *("bad-jsonp-index", "bad-origin", "bad-sid", "bad-transport", "bad-upgrade", "bad-version"),
    *("not-connected", "unexpected-http"),
)
REFUSALS_MAX = 20  # malformed packets and refused connects, after which a connection is closed
NO_CREDENTIALS = {"token": False}  # in place of the data of a malformed connect, which is then refused


class SocketServer(socketio.AsyncServer):  # type: ignore[misc]
    """Socket.IO on namespace `/`."""

    def __init__(self, callbacks: SocketCallbacks, settings: GatewaySettings, metrics: Metrics) -> None:
        quiet = logging.getLogger("chat_gateway.socketio")
        quiet.setLevel(logging.ERROR)  # below it the libraries log packets, including tokens
        super().__init__(
            async_mode="asgi",
            async_handlers=False,
            serializer=TextPacket,
            namespaces=["/"],
            logger=quiet,
            engineio_logger=quiet,
            cors_allowed_origins="*",  # `PublicApp` has checked the origin; this only sets the response headers
            cors_credentials=False,
            max_http_buffer_size=FRAME_MAX,
        )
        self._callbacks = callbacks
        self._metrics = metrics
        self._connecting: dict[str, Socket | None] = {}  # connects in progress, by Engine.IO id
        self.admission = Admission(settings)
        self.sessions_refused = metrics.sessions_refused
        metrics.handshakes.set_function(lambda: len(self.admission))
        metrics.connections.set_function(lambda: len(self.eio.sockets))
        self.eio.log_message_keys.update(LOGGED_ONCE)
        self.eio.observer = self
        self.eio.address_of = self.admission.source
        self.eio.outbound_packets = settings.outbound_packets
        self.eio.outbound_bytes = settings.outbound_bytes
        self.eio.read_within = settings.read_within
        self.eio.on("message", self._receive)
        self.on("connect", self._on_connect)
        self.on("disconnect", self._on_disconnect)

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    @property
    def connections(self) -> list[Connection]:
        """All connections, authenticated or not."""
        return list(self.eio.sockets.values())

    def opened(self, connection: Connection) -> None:
        """Count a connection and start its authentication timeout."""
        self.admission.connection_opened(connection)
        self._await_authentication(connection)

    def _await_authentication(self, connection: Connection) -> None:
        self.admission.handshake_started(connection)
        connection.deadline = asyncio.get_running_loop().call_later(
            AUTHENTICATE_WITHIN, self._close_unauthenticated, connection
        )

    def closed(self, connection: Connection) -> None:
        """Stop counting a closed connection."""
        self._handshake_ended(connection)
        self.admission.connection_closed(connection)

    def dismissed(self, connection: Connection) -> None:
        """Treat the client as disconnected from the namespace; it has `AUTHENTICATE_WITHIN` to close the transport."""
        self._release(connection)
        if (sid := self.manager.sid_from_eio_sid(connection.sid, "/")) is not None:
            self.manager.basic_disconnect(sid, "/")

    def _handshake_ended(self, connection: Connection) -> None:
        self.admission.handshake_ended(connection)
        if connection.deadline is not None:
            connection.deadline.cancel()
            connection.deadline = None

    def overflowed(self, connection: Connection) -> None:
        """Count and log a connection that is aborted because its client does not read."""
        self._metrics.aborted.labels("slow").inc()
        logger.info("slow_client.aborted", user=connection.socket.user_id if connection.socket else None)

    async def watch_buffers(self) -> None:
        """Abort connections whose clients do not read, until cancelled.

        The bounds of the queues are not enough: pongs and the kernels' buffers are not in them.
        """
        while True:
            await asyncio.sleep(WATCH_EVERY)
            for connection in self.connections:
                if connection.buffered > BUFFERED_MAX or not connection.is_reading(WATCH_EVERY):
                    connection.cut_off()

    def _close_unauthenticated(self, connection: Connection) -> None:
        if connection.socket is None and not connection.closed:
            self._metrics.aborted.labels("unauthenticated").inc()
            connection.close_after_flush()

    def _receive(self, connection: Connection, text: str) -> Any:  # noqa: PLR0911 - one for each kind of packet
        """Take one Socket.IO packet; the result, if any, must be awaited before the next packet."""
        try:
            packet = TextPacket(encoded_packet=text)
        except Binary:
            self._metrics.aborted.labels("binary").inc()
            connection.close_after_flush()
            return None
        except Malformed as error:
            if error.connect:
                return self._handle_connect(connection.sid, None, NO_CREDENTIALS)
            return self._malformed(connection, error.ack_id)
        kind, data, socket = packet.packet_type, packet.data, connection.socket
        if kind == socketio_packet.EVENT:
            if not isinstance(data, list) or not data:
                return self._malformed(connection, packet.id)
            if socket is not None and packet.namespace is None:
                return self._callbacks.handle_event(socket, packet.id, data[0], data[1:])
            return None
        if kind == socketio_packet.CONNECT:
            return self._handle_connect(connection.sid, packet.namespace, data)
        if kind == socketio_packet.DISCONNECT and packet.namespace is None:
            return self._handle_disconnect(connection.sid, None)
        if kind != socketio_packet.ACK:  # the server requests no acks; a stray one is ignored
            return self._malformed(connection, None)
        return None

    def _malformed(self, connection: Connection, ack_id: int | None) -> Awaitable[None] | None:
        self._metrics.malformed.inc()
        if connection.socket is not None and ack_id is not None:
            return self._callbacks.handle_malformed(connection.socket, ack_id)
        self._refused(connection)
        return None

    def _refused(self, connection: Connection) -> None:
        connection.refusals += 1
        if connection.refusals > REFUSALS_MAX:
            self._metrics.aborted.labels("malformed").inc()
            connection.close_after_flush()

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Connect as python-socketio does, then send `ready`; a failed connect leaves no state."""
        connection: Connection | None = self.eio.sockets.get(eio_sid)
        if connection is None or connection.socket is not None or eio_sid in self._connecting:
            return
        if namespace is not None:
            refusal = {"message": "Unknown namespace.", "data": {"code": "unauthenticated"}}
            await self._send_packet(
                eio_sid, TextPacket(socketio_packet.CONNECT_ERROR, data=refusal, namespace=namespace)
            )
            self._refused(connection)
            return
        self._connecting[eio_sid] = None
        try:
            await super()._handle_connect(eio_sid, namespace, data)
        except Exception:
            logger.exception("connect.failed")
        finally:
            socket = self._connecting.pop(eio_sid)
        if socket is not None and self.manager.is_connected(socket.sid, "/") and not connection.closed:
            connection.socket = socket
            self._handshake_ended(connection)
            self.environ[eio_sid] = {}  # frees the headers
            self._metrics.sockets.inc()
            self._callbacks.connected(socket)
            return
        if socket is not None:
            self._callbacks.disconnected(socket)
        if (sid := self.manager.sid_from_eio_sid(eio_sid, "/")) is not None:
            await self.manager.disconnect(sid, "/", ignore_queue=True)
        self._refused(connection)

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Handle a connect: register a socket, or refuse it with a code."""
        try:
            eio_sid = self.manager.eio_sid_from_sid(sid, "/")
            identity = await self._callbacks.identify(token_of(auth, environ))
            socket = Socket(self.eio.sockets[eio_sid], sid, identity)
            self._connecting[eio_sid] = socket
            await self._callbacks.register(socket)
            self._metrics.connects.labels("ok").inc()
        except BackchatError as error:
            self._refuse(error)
        except Exception:  # any other exception would leave the client half connected
            logger.exception("connect.failed")
            self._refuse(Internal())

    def _refuse(self, error: BackchatError) -> None:
        code = {"token_invalid": "unauthenticated", "internal": "unavailable"}.get(error.code, error.code)
        self._metrics.connects.labels(code).inc()
        data: dict[str, Any] = {"code": code}
        if error.retry_after is not None:
            data["retry_after"] = round(error.retry_after, 3)
        raise socketio.exceptions.ConnectionRefusedError(error.detail, data) from None

    async def _on_disconnect(self, sid: str, _reason: str) -> None:
        """Handle a disconnect of the namespace."""
        eio_sid = self.manager.eio_sid_from_sid(sid, "/")
        connection: Connection | None = self.eio.sockets.get(eio_sid)
        if connection is not None:
            self._release(connection)

    def _release(self, connection: Connection) -> None:
        """Unregister the socket of a connection, if it has one."""
        socket: Socket | None = connection.socket
        if socket is None:
            return
        connection.socket = None
        self._metrics.sockets.dec()
        try:
            self._callbacks.disconnected(socket)
        except Exception:
            logger.exception("disconnect.failed")
        if not connection.closing and not connection.closed:
            self._await_authentication(connection)  # the client may connect again on the same transport
