"""The Engine.IO side: our connection class, with a bounded queue, plain awaits and a way to cut a dead client off.

python-engineio wraps each frame in tasks and timeouts; here the reader and the writer of a WebSocket are
two plain loops, which is worth about 40 % of the CPU of a round trip. Liveness is left to the monitor
task (`check_ping_timeout`), which aborts what does not answer. This leans on private parts of
python-engineio 4.15 and of uvicorn 0.54: tests/unit/chat_gateway/test_private_parts.py says which.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

import engineio
from engineio import async_socket, exceptions
from engineio import packet as engineio_packet

from chat_gateway.wire import WebSocketsSansIOProtocol, protocol_of, write_frames

FRAME_MAX = 256 * 1024  # characters of one frame, and bytes of one POST (contract §3)
POST_PACKETS_MAX = 1_000  # packets in one POST of long-polling
BURST_FACTOR = 8  # how far over its bounds a queue may go in one burst, as long as the client reads
LAST_WORDS = 3.0  # seconds that a client gets to read what is queued, then the transport is aborted


class Watcher(Protocol):
    """What the engine tells its server about connections."""

    def opened(self, connection: Connection) -> None:
        """A connection was made; nobody knows yet whose."""

    def overflowed(self, connection: Connection) -> None:
        """A client does not read; its connection is being aborted."""


class Outbound(asyncio.Queue[Any]):
    """The packets that wait for one client, with the number of their characters."""

    size: int

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.size = 0

    def _put(self, item: Any) -> None:
        if item is not None and item.data is not None:
            self.size += len(item.data)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        if item is not None and item.data is not None:
            self.size -= len(item.data)
        return item


class Connection(async_socket.AsyncSocket):  # type: ignore[misc]
    """One Engine.IO session. `socket` is the authenticated client on it, once there is one."""

    closed: bool
    closing: bool
    connected: bool
    upgraded: bool
    queue: Outbound

    def __init__(self, server: Engine, sid: str) -> None:
        super().__init__(server, sid)
        self.socket: Any = None
        self.refusals = 0  # malformed packets and failed connects
        self._protocol: WebSocketsSansIOProtocol | None = None
        self._cut_off = False

    def enqueue(self, pkt: engineio_packet.Packet) -> None:
        """Queue a packet, without waiting; a client with too many of them waiting is cut off."""
        queue = self.queue
        if self.closed or self._cut_off:
            return
        load = max(queue.qsize() / self.server.outbound_packets, queue.size / self.server.outbound_bytes)
        if load >= 1 and (load >= BURST_FACTOR or not self._writable()):
            self.server.watcher.overflowed(self)
            self.abort()
            return
        queue.put_nowait(pkt)

    async def send(self, pkt: engineio_packet.Packet) -> None:
        """As `enqueue`; python-socketio calls this one."""
        self.enqueue(pkt)

    def hang_up(self) -> None:
        """Close the transport after what is queued, so that a stock client comes back by itself."""
        if self.upgraded:
            self.queue.put_nowait(None)
            asyncio.get_running_loop().call_later(LAST_WORDS, self._abort_if_open)
        else:
            self.server.close_soon(self)

    def abort(self) -> None:
        """Cut the connection now; whatever is queued is lost."""
        self._cut_off = True
        if self._protocol is not None:
            self._protocol.transport.abort()
            self.queue.put_nowait(None)
        else:
            self.server.close_soon(self)

    def _writable(self) -> bool:
        """Whether the client has read what was written; if so, a queue that is full was filled just now."""
        return self._protocol is not None and self._protocol.writable.is_set()

    def _abort_if_open(self) -> None:
        if not self.closed:
            self.abort()

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:  # noqa: ARG002, FBT001, FBT002
        """End the session, once; never waits for a client to read."""
        if self.closed or self.closing:
            return
        self.closing = True
        await self.server._trigger_event(  # noqa: SLF001
            "disconnect", self.sid, reason or self.server.reason.SERVER_DISCONNECT, run_async=False
        )
        if not abort:
            self.queue.put_nowait(engineio_packet.Packet(engineio_packet.CLOSE))
        self.closed = True
        self.queue.put_nowait(None)
        if self._protocol is not None and reason == self.server.reason.PING_TIMEOUT:
            self._protocol.transport.abort()
        self.server.sockets.pop(self.sid, None)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take the packets of a long-polling POST."""
        length = int(environ.get("CONTENT_LENGTH", "0"))
        if length > FRAME_MAX:
            raise exceptions.ContentTooLongError
        try:
            packets = (await environ["wsgi.input"].read(length)).decode().split("\x1e")
        except UnicodeDecodeError:
            raise exceptions.EngineIOError from None
        if len(packets) > POST_PACKETS_MAX:
            raise exceptions.EngineIOError
        for text in packets:
            if not await self._take(text):
                raise exceptions.EngineIOError

    async def _take(self, text: str) -> bool:
        """Take one Engine.IO packet; `False` ends the connection."""
        kind = text[:1]
        if kind == "4":
            waiting = self.server.message(self, text[1:])
            if waiting is not None:
                await waiting
        elif kind == "3":
            self.schedule_ping()
        elif kind == "1":
            await self.close(wait=False, abort=True, reason=self.server.reason.CLIENT_DISCONNECT)
        elif kind not in ("2", "5", "6") or not kind:
            return False
        return not self.closed

    async def _websocket_handler(self, ws: Any) -> None:
        self._protocol = protocol_of(ws.asgi_send)
        if self.connected:
            self.upgrading = True  # what is polled meanwhile is a NOOP
            try:
                self.upgraded = await self._upgrade(ws)
            finally:
                self.upgrading = False
            if not self.upgraded:
                return
        self.connected = self.upgraded = True
        writer = asyncio.create_task(self._write(ws), name="socket writer")
        try:
            await self._read(ws.asgi_receive)
        finally:
            self.queue.put_nowait(None)
            cutting = asyncio.get_running_loop().call_later(LAST_WORDS, self.abort)  # if it does not read
            await writer
            cutting.cancel()
            await self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _upgrade(self, ws: Any) -> bool:
        """The probe that moves a session from long-polling to WebSocket."""
        with contextlib.suppress(OSError):
            if await ws.wait() != "2probe":
                return False
            await ws.send("3probe")
            self.queue.put_nowait(engineio_packet.Packet(engineio_packet.NOOP))  # ends the poll that is waiting
            return bool(await ws.wait() == "5")
        return False

    async def _read(self, receive: Any) -> None:
        while not self.closed:
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            text = event.get("text")
            if text is None or len(text) > FRAME_MAX or not await self._take(text):
                return

    async def _write(self, ws: Any) -> None:
        with contextlib.suppress(OSError):  # the client is gone
            await write_frames(self.queue, ws.asgi_send)
        await ws.close()


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """The Engine.IO server with our connections. `watcher` and the bounds are set by the Socket.IO server."""

    sockets: dict[str, Connection]
    start_service_task: bool
    watcher: Watcher
    outbound_packets: int
    outbound_bytes: int

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._closing: set[asyncio.Future[None]] = set()

    def create_queue(self, *_args: Any, **_kwargs: Any) -> Outbound:
        """The queue of a new connection."""
        return Outbound()

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
        self.sockets[sid] = connection
        connection.enqueue(engineio_packet.Packet(engineio_packet.OPEN, self._hello(sid, transport)))
        await self._trigger_event("connect", sid, environ, run_async=False)
        self.watcher.opened(connection)
        connection.schedule_ping()
        if transport == "websocket":
            try:
                return await connection.handle_get_request(environ)
            finally:
                self.sockets.pop(sid, None)
        connection.connected = True
        return self._ok(await connection.poll())

    def _hello(self, sid: str, transport: str) -> dict[str, Any]:
        return {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
