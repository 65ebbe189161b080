"""Parsing large reads in slices, and the private parts of uvicorn that this depends on."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from shared.http.websocket_protocol import SLICE, BoundedWebSocketProtocol
from shared.runtime.process import _config

READ = 256 * 1024  # maximum bytes of one read of the event loop
HANDSHAKE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Transport(asyncio.Transport):
    """Records whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.closed = False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: Any) -> None:
        """Drop the data."""

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def text(content: str) -> bytes:
    """Return one complete frame of a client."""
    return Frame(Opcode.TEXT, content.encode()).serialize(mask=True)


@pytest.fixture
async def protocol() -> BoundedWebSocketProtocol:
    """A WebSocket that an application has accepted and does not read."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        accepted.set()
        await asyncio.Event().wait()

    accepted = asyncio.Event()
    config = _config(app)
    config.load()
    protocol = BoundedWebSocketProtocol(config, ServerState(), {})
    protocol.connection_made(Transport())
    protocol.data_received(HANDSHAKE)
    await accepted.wait()
    return protocol


async def test_large_read_is_parsed_in_slices_and_arrives_in_order(
    protocol: BoundedWebSocketProtocol,
) -> None:
    texts = [f"{number:017}" for number in range(READ // 23)]
    protocol.data_received(b"".join(map(text, texts)))
    most, received = 0, []
    for _ in texts:
        assert not protocol.transport.reading  # type: ignore[attr-defined]
        most = max(most, protocol.queue.qsize())
        received.append((await protocol.receive())["text"])
    assert received == texts
    assert most <= SLICE // 23 + 1
    assert protocol.transport.reading  # type: ignore[attr-defined]


async def test_message_longer_than_a_slice_is_complete(protocol: BoundedWebSocketProtocol) -> None:
    """Also the messages before and after it, in reads that end anywhere."""
    long = "x" * (3 * SLICE)
    stream = text("before") + text(long) + text("behind")
    protocol.data_received(stream[: 2 * SLICE])
    assert (await protocol.receive())["text"] == "before"
    protocol.data_received(stream[2 * SLICE :])
    assert [(await protocol.receive())["text"] for _ in range(2)] == [long, "behind"]


async def test_data_received_while_paused_keeps_its_order(protocol: BoundedWebSocketProtocol) -> None:
    """A transport may have read more data before it pauses."""
    first, second = [str(number) for number in range(5_000)], ["late"]
    protocol.data_received(b"".join(map(text, first)))
    protocol.data_received(text("late"))
    assert [(await protocol.receive())["text"] for _ in first + second] == first + second


async def test_data_after_the_close_is_not_parsed(protocol: BoundedWebSocketProtocol) -> None:
    """No part of a message that is too long is parsed."""
    protocol.data_received(text("x" * 2 * 1024 * 1024))
    assert (await protocol.receive())["type"] == "websocket.disconnect"
    assert protocol.queue.empty()


def test_uvicorn_resumes_reading_when_its_queue_is_empty() -> None:
    """It pauses with each message; parsing continues where uvicorn resumes reading."""
    assert "if self.read_paused and self.queue.empty():" in inspect.getsource(WebSocketsSansIOProtocol.receive)
    source = inspect.getsource(WebSocketsSansIOProtocol.send_receive_event_to_app)
    assert "self.read_paused = True" in source
    assert "self.transport.pause_reading()" in source
