"""An Engine.IO session with a bounded outbound queue, which aborts the connection of a client that does not read.

python-engineio wraps each frame in tasks and timeouts. Here the reader and the writer of a WebSocket are two plain
loops, which saves about 40 % of the CPU of a round trip. Liveness is checked by the monitor task of python-engineio
(`check_ping_timeout`), which aborts connections without a pong. The class uses private parts of python-engineio 4.15
and uvicorn 0.54: tests/unit/chat_gateway/transport/test_private_parts.py lists them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from engineio import async_socket, exceptions
from engineio import packet as engineio_packet

from chat_gateway.transport.frames import Frame
from chat_gateway.transport.outbound_queue import OutboundQueue
from chat_gateway.transport.read_probe import ReadProbe
from chat_gateway.transport.wire import Stalled, WebSocketProtocol, protocol_of, write_frames

FRAME_MAX = 256 * 1024  # characters of one frame, and bytes of one POST (contract.md §3.1)
POST_PACKETS_MAX = 1_000  # packets in one POST of long-polling
BURST_FACTOR = 4  # a queue may exceed its bounds by this factor in one burst while the client reads
FLUSH_WITHIN = 3.0  # seconds to write the queue of a closing connection, after which the transport is aborted
UNREAD_MAX = 16 * 1024  # bytes written and not taken by the kernel; above it a client counts as not reading
DISCONNECT = b"1"  # the Socket.IO packet, of namespace `/`
PACKETS_BEFORE_YIELD = 8  # packets of one client after which the event loop runs other tasks


class Connection(async_socket.AsyncSocket):  # type: ignore[misc]
    """One Engine.IO session. `socket` is its authenticated client, or `None`."""

    closed: bool
    closing: bool
    connected: bool
    last_ping: float | None
    upgraded: bool
    queue: OutboundQueue

    def __init__(self, server: Any, sid: str) -> None:
        super().__init__(server, sid)
        self.socket: Any = None
        self.address = ""  # by which `Admission` counts the connection
        self.deadline: asyncio.TimerHandle | None = None  # of the authentication
        self._pinging: asyncio.TimerHandle | None = None
        self.refusals = 0  # malformed packets and failed connects
        self._protocol: WebSocketProtocol | None = None
        self._read_probe: ReadProbe | None = None
        self._sent_since_ping = False  # whether a packet was queued since the last read probe
        self._cut_off = False
        self._received = 0  # packets since the event loop last ran other tasks
        self._posting = asyncio.Lock()

    def schedule_ping(self) -> None:
        """Schedule the next Engine.IO ping.

        With a timer, because the task of python-engineio would keep a closed connection in memory until then.
        """
        if self.last_ping is not None:  # otherwise the next ping is already scheduled
            self.last_ping = None
            self._pinging = asyncio.get_running_loop().call_later(self.server.ping_interval, self._ping)

    def stop_pinging(self) -> None:
        """Cancel the ping timer."""
        if self._pinging is not None:
            self._pinging.cancel()
            self._pinging = None

    def _ping(self) -> None:
        if not self.closing and not self.closed:
            self.last_ping = time.time()
            self.enqueue(engineio_packet.Packet(engineio_packet.PING))

    def enqueue(self, pkt: engineio_packet.Packet) -> None:
        """Queue a packet without waiting; the connection is aborted if its queue is over the bounds."""
        queue = self.queue
        if self.closed or self._cut_off:
            return
        load = max(queue.qsize() / self.server.outbound_packets, queue.size / self.server.outbound_bytes)
        if load >= 1 and (load >= BURST_FACTOR or not self._writable()):
            self.cut_off()
            return
        queue.put_nowait(pkt)
        self._sent_since_ping = True

    async def send(self, pkt: engineio_packet.Packet) -> None:
        """Queue a packet; python-socketio calls this method."""
        self.enqueue(pkt)

    async def wait_until_read(self) -> None:
        """Wait until the client has read most of its queue, so that a large answer may follow."""
        while not self.closed and not self._cut_off:
            await self.queue.nearly_empty.wait()
            if self._protocol is None or self._protocol.writable.is_set():
                return
            await self._protocol.writable.wait()

    def close_after_flush(self) -> None:
        """Close the transport after writing the queue; a stock client then reconnects automatically."""
        if self.upgraded:
            self.queue.put_nowait(None)
            asyncio.get_running_loop().call_later(FLUSH_WITHIN, self._abort_if_open)
        else:
            self.server.close_soon(self)

    def dismiss(self) -> None:
        """Disconnect the namespace and let the client close the transport; a stock client does not reconnect."""
        self.enqueue(Frame(DISCONNECT))
        self.server.observer.dismissed(self)

    def cut_off(self) -> None:
        """Abort the connection because the client does not read."""
        if not self._cut_off:
            self.server.observer.overflowed(self)
            self.abort()

    def abort(self) -> None:
        """Abort the transport; queued packets are lost."""
        self._cut_off = True
        self.queue.release_waiters()
        if self._protocol is not None:
            self._protocol.transport.abort()
            self.queue.put_nowait(None)
        else:
            self.server.close_soon(self)

    @property
    def buffered(self) -> int:
        """Bytes written that the kernel has not taken, including WebSocket pongs."""
        return self._protocol.transport.get_write_buffer_size() if self._protocol is not None else 0

    def is_reading(self, passed: float) -> bool:
        """Return whether the client answers the read probe in time, and probe it; called every `passed` seconds."""
        if self._read_probe is None or self._cut_off:
            return True
        if self._read_probe.seconds_owed(passed) >= self.server.read_within:
            return False
        if self._sent_since_ping and self._read_probe.send_ping():
            self._sent_since_ping = False
        return True

    def _writable(self) -> bool:
        """Whether the kernel has taken all written bytes; a full queue is then the result of a burst."""
        return self._protocol is not None and self._protocol.writable.is_set()

    def _abort_if_open(self) -> None:
        if not self.closed:
            self.abort()

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:  # noqa: ARG002, FBT001, FBT002
        """End the session; does not wait for the client to read. Repeated calls do nothing."""
        if self.closed or self.closing:
            return
        self.closing = True
        await self.server._trigger_event(  # noqa: SLF001
            "disconnect", self.sid, reason or self.server.reason.SERVER_DISCONNECT, run_async=False
        )
        if not abort:
            self.queue.put_nowait(engineio_packet.Packet(engineio_packet.CLOSE))
        self.closed = True
        self.stop_pinging()
        self.queue.put_nowait(None)
        self.queue.release_waiters()
        if self._protocol is not None and reason == self.server.reason.PING_TIMEOUT:
            self._protocol.transport.abort()
        self.server.sockets.pop(self.sid, None)
        self.server.observer.closed(self)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take the packets of a long-polling POST. A concurrent POST, which no stock client sends, waits."""
        length = int(environ.get("CONTENT_LENGTH", "0"))
        if length > FRAME_MAX:
            raise exceptions.ContentTooLongError
        async with self._posting:
            await self._receive_packets(environ, length)

    async def _receive_packets(self, environ: dict[str, Any], length: int) -> None:
        try:
            packets = (await environ["wsgi.input"].read(length)).decode().split("\x1e")
        except UnicodeDecodeError:
            raise exceptions.EngineIOError from None
        if len(packets) > POST_PACKETS_MAX:
            raise exceptions.EngineIOError
        for text in packets:
            if not await self._receive_packet(text):
                raise exceptions.EngineIOError

    async def _receive_packet(self, text: str) -> bool:
        """Take one Engine.IO packet; `False` ends the connection."""
        kind = text[:1]
        if kind == "4":
            if self.last_ping is not None:  # the client is alive; its pong may be queued behind events not read yet
                self.last_ping = time.time()
            waiting = self.server.message(self, text[1:])
            if waiting is not None:
                await waiting
        elif kind == "3":
            self.schedule_ping()
        elif kind == "1":
            await self.close(wait=False, abort=True, reason=self.server.reason.CLIENT_DISCONNECT)
        elif kind not in ("2", "5", "6") or not kind:
            return False
        self._received += 1
        if self._received >= PACKETS_BEFORE_YIELD:  # buffered packets are received without suspending
            self._received = 0
            await asyncio.sleep(0)
        return not self.closed

    async def _websocket_handler(self, ws: Any) -> None:
        self._protocol = protocol_of(ws.asgi_send)
        if self._protocol is not None:  # the transport keeps an unread answer whole, so no second one may be written
            self._protocol.transport.set_write_buffer_limits(high=UNREAD_MAX, low=0)
            self._read_probe = ReadProbe(self._protocol)
        if self.connected:
            self.upgrading = True  # polls during the upgrade return a NOOP
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
            aborting = asyncio.get_running_loop().call_later(FLUSH_WITHIN, self.abort)  # if the client does not read
            await writer
            aborting.cancel()
            await self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _upgrade(self, ws: Any) -> bool:
        """Answer the probe that moves a session from long-polling to WebSocket; return whether it succeeded."""
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
            if text is None or len(text) > FRAME_MAX or not await self._receive_packet(text):
                return

    async def _write(self, ws: Any) -> None:
        try:
            await write_frames(self.queue, ws.asgi_send, self.server.read_within)
        except Stalled:
            self.cut_off()
        except OSError:
            pass  # the client has disconnected
        await ws.close()
