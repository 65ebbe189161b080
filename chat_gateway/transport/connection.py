"""One Engine.IO session: a bounded queue, plain awaits, and ways to cut off who does not read.

python-engineio wraps each frame in tasks and timeouts; here the reader and the writer of a WebSocket are
two plain loops, which is worth about 40 % of the CPU of a round trip. Liveness is left to the monitor
task (`check_ping_timeout`), which aborts what does not answer. This leans on private parts of
python-engineio 4.15 and of uvicorn 0.54: tests/unit/chat_gateway/transport/test_private_parts.py says which.
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

FRAME_MAX = 256 * 1024  # characters of one frame, and bytes of one POST (contract §3)
POST_PACKETS_MAX = 1_000  # packets in one POST of long-polling
BURST_FACTOR = 4  # how far over its bounds a queue may go in one burst, as long as the client reads
FLUSH_WITHIN = 3.0  # seconds that a client gets to read what is queued, then the transport is aborted
UNREAD_MAX = 16 * 1024  # bytes written and not taken by the kernel, with which a client counts as not reading
DISCONNECT = b"1"  # the Socket.IO packet, of namespace `/`
PACKETS_BEFORE_YIELD = 8  # packets of one client that are taken before everybody else has a turn


class Connection(async_socket.AsyncSocket):  # type: ignore[misc]
    """One Engine.IO session. `socket` is the authenticated client on it, once there is one."""

    closed: bool
    closing: bool
    connected: bool
    last_ping: float | None
    upgraded: bool
    queue: OutboundQueue

    def __init__(self, server: Any, sid: str) -> None:
        super().__init__(server, sid)
        self.socket: Any = None
        self.address = ""  # of the client, as the listener sees it
        self.deadline: asyncio.TimerHandle | None = None  # until which it has to say whose it is
        self._pinging: asyncio.TimerHandle | None = None
        self.refusals = 0  # malformed packets and failed connects
        self._protocol: WebSocketProtocol | None = None
        self._read_probe: ReadProbe | None = None
        self._sent_since_ping = False  # something since the client was last asked whether it reads
        self._cut_off = False
        self._received = 0  # packets since everybody else had a turn
        self._posting = asyncio.Lock()

    def schedule_ping(self) -> None:
        """Ping after a while: by a timer, because python-engineio's task would keep a closed connection till then."""
        if self.last_ping is not None:  # else the next ping is on its way already
            self.last_ping = None
            self._pinging = asyncio.get_running_loop().call_later(self.server.ping_interval, self._ping)

    def stop_pinging(self) -> None:
        """Nobody is there."""
        if self._pinging is not None:
            self._pinging.cancel()
            self._pinging = None

    def _ping(self) -> None:
        if not self.closing and not self.closed:
            self.last_ping = time.time()
            self.enqueue(engineio_packet.Packet(engineio_packet.PING))

    def enqueue(self, pkt: engineio_packet.Packet) -> None:
        """Queue a packet, without waiting; a client with too many of them waiting is cut off."""
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
        """As `enqueue`; python-socketio calls this one."""
        self.enqueue(pkt)

    async def wait_until_read(self) -> None:
        """Wait until the client has read most of what was sent to it, so that a large answer may follow."""
        while not self.closed and not self._cut_off:
            await self.queue.nearly_empty.wait()
            if self._protocol is None or self._protocol.writable.is_set():
                return
            await self._protocol.writable.wait()

    def close_after_flush(self) -> None:
        """Close the transport after what is queued, so that a stock client comes back by itself."""
        if self.upgraded:
            self.queue.put_nowait(None)
            asyncio.get_running_loop().call_later(FLUSH_WITHIN, self._abort_if_open)
        else:
            self.server.close_soon(self)

    def dismiss(self) -> None:
        """Disconnect the namespace, and leave it to the client to close the transport."""
        self.enqueue(Frame(DISCONNECT))
        self.server.observer.dismissed(self)

    def cut_off(self) -> None:
        """Abort, because the client does not read."""
        if not self._cut_off:
            self.server.observer.overflowed(self)
            self.abort()

    def abort(self) -> None:
        """Cut the connection now; whatever is queued is lost."""
        self._cut_off = True
        self.queue.release_waiters()
        if self._protocol is not None:
            self._protocol.transport.abort()
            self.queue.put_nowait(None)
        else:
            self.server.close_soon(self)

    @property
    def buffered(self) -> int:
        """Bytes that were written and not yet taken by the kernel, pongs of the WebSocket included."""
        return self._protocol.transport.get_write_buffer_size() if self._protocol is not None else 0

    def is_reading(self, passed: float) -> bool:
        """Whether the client has shown in time that it reads what it is told; asked once in `passed` seconds."""
        if self._read_probe is None or self._cut_off:
            return True
        if self._read_probe.seconds_owed(passed) >= self.server.read_within:
            return False
        if self._sent_since_ping and self._read_probe.send_ping():
            self._sent_since_ping = False
        return True

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
        self.stop_pinging()
        self.queue.put_nowait(None)
        self.queue.release_waiters()
        if self._protocol is not None and reason == self.server.reason.PING_TIMEOUT:
            self._protocol.transport.abort()
        self.server.sockets.pop(self.sid, None)
        self.server.observer.closed(self)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take the packets of a long-polling POST; those of another one beside it (no stock client sends one) later."""
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
            if self.last_ping is not None:  # it is there: its pong may stand behind events that are not listened to yet
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
        if self._received >= PACKETS_BEFORE_YIELD:  # what is there already is received without a pause
            self._received = 0
            await asyncio.sleep(0)
        return not self.closed

    async def _websocket_handler(self, ws: Any) -> None:
        self._protocol = protocol_of(ws.asgi_send)
        if self._protocol is not None:  # a page of which some is unread is kept whole: no second one beside it
            self._protocol.transport.set_write_buffer_limits(high=UNREAD_MAX, low=0)
            self._read_probe = ReadProbe(self._protocol)
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
            cutting = asyncio.get_running_loop().call_later(FLUSH_WITHIN, self.abort)  # if it does not read
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
            if text is None or len(text) > FRAME_MAX or not await self._receive_packet(text):
                return

    async def _write(self, ws: Any) -> None:
        try:
            await write_frames(self.queue, ws.asgi_send, self.server.read_within)
        except Stalled:
            self.cut_off()
        except OSError:
            pass  # the client is gone
        await ws.close()
