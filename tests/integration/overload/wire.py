"""A Socket.IO client that costs little, so that one process can be many of them; and that can stop reading."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
import websockets

from tests.support.waiting import pause

CONNECT_WITHIN = 20.0  # seconds
UNHEARD = ('42["message_delta"', '42["typing"')  # events that are ignored here


class Wire:
    """One authenticated socket. `on_event` gets each server event; acks go to their futures or callbacks."""

    def __init__(self, ws: websockets.ClientConnection, on_event: Callable[[str, Any], None]) -> None:
        self._ws = ws
        self.on_event = on_event
        self._acks: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._last = 0
        self._ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        url: str,
        token: str,
        *,
        on_event: Callable[[str, Any], None] = lambda *_: None,
        receive_buffer: int | None = None,
    ) -> Self:
        """Connect and wait for `ready`; `receive_buffer` is the kernel's, in bytes."""
        parts = urlsplit(url)
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (parts.hostname, parts.port))
        address = f"ws://{parts.netloc}/socket.io/?EIO=4&transport=websocket"
        ws = await websockets.connect(
            address, sock=plain, max_size=None, compression=None, ping_interval=None, max_queue=None
        )
        self = cls(ws, on_event)
        await ws.send("40" + json.dumps({"token": token}))
        async with asyncio.timeout(CONNECT_WITHIN):
            await self._ready.wait()
        return self

    @property
    def unsent(self) -> int:
        """Bytes that the server has not taken."""
        return self._ws.transport.get_write_buffer_size()

    async def emit(self, event: str, payload: Any, acked: Callable[[dict[str, Any]], None]) -> None:
        """Send, and call `acked` with the ack."""
        self._last += 1
        self._acks[self._last] = acked
        if self._ws.transport.is_closing():
            raise websockets.ConnectionClosedError(None, None)
        self._ws.transport.write(_frame(b"42%d" % self._last + orjson.dumps([event, payload])))

    async def call(self, event: str, payload: Any) -> dict[str, Any]:
        """Send, and return the ack."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        await self.emit(event, payload, answer.set_result)
        async with asyncio.timeout(CONNECT_WITHIN):
            return await answer

    async def deaf(self, *, answers_pings: bool) -> None:
        """Read nothing any more, not even in the kernel; but say what pings would be answered with."""
        self._ws.transport.pause_reading()
        self._reader.cancel()
        if answers_pings:
            self._reader = asyncio.create_task(self._pong())

    async def ended(self) -> bool:
        """Whether the server has cut the connection, which a client that does not read notices when it writes."""
        with suppress(OSError, websockets.ConnectionClosed):
            await asyncio.wait_for(self._ws.send("3"), 0.05)
            return self._ws.transport.is_closing()
        return True

    async def close(self) -> None:
        self._reader.cancel()
        self._ws.transport.abort()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _pong(self) -> None:
        with suppress(OSError, websockets.ConnectionClosed):
            while True:
                await self._ws.send("3")
                await pause(0.5, "the interval of pongs")

    async def _read(self) -> None:
        with suppress(websockets.ConnectionClosed):
            async for text in self._ws:
                assert isinstance(text, str)
                if text == "2":
                    await self._ws.send("3")
                elif text.startswith(UNHEARD):
                    continue
                elif text.startswith("42"):
                    name, payload = orjson.loads(text[2:])
                    if name == "ready":
                        self._ready.set()
                    self.on_event(name, payload)
                elif text.startswith("43"):
                    head, _, body = text.partition("[")
                    self._acks.pop(int(head[2:]))(orjson.loads("[" + body)[0])


def _frame(payload: bytes) -> bytes:
    """One masked text frame (RFC 6455, section 5.2), with a mask of zeros, which costs nothing."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, 0x80 | length)) + bytes(4) + payload
    return b"\x81\xfe" + length.to_bytes(2, "big") + bytes(4) + payload
