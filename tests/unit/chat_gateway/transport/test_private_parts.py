"""The private parts of our libraries that the gateway uses.

If a test fails after an upgrade, compare connection.py, engine.py and wire.py of chat_gateway/transport and
chat_gateway/sockets/server.py with the changes of the library before you edit the test.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import engineio
import pytest
import socketio
from engineio import async_socket, base_socket
from engineio import packet as engineio_packet
from engineio.async_drivers import asgi
from engineio.payload import Payload
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

from chat_gateway.sockets.server import LOGGED_ONCE
from chat_gateway.transport.connection import Connection
from chat_gateway.transport.engine import Engine
from chat_gateway.transport.frames import Frame as OurFrame
from chat_gateway.transport.outbound_queue import NEARLY_EMPTY, OutboundQueue
from chat_gateway.transport.read_probe import NONCE, PING
from chat_gateway.transport.wire import payload_of, text_frame


@pytest.mark.parametrize(
    ("package", "release"), [("python-socketio", "5.18"), ("python-engineio", "4.15"), ("uvicorn", "0.54")]
)
def test_installed_releases_are_the_reviewed_ones(package: str, release: str) -> None:
    """An upgrade is a decision: read their changes, then change this line."""
    assert version(package).rpartition(".")[0] == release


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (async_socket.AsyncSocket, "poll", ["self"]),
        (async_socket.AsyncSocket, "send", ["self", "pkt"]),
        (async_socket.AsyncSocket, "close", ["self", "wait", "abort", "reason"]),
        (async_socket.AsyncSocket, "schedule_ping", ["self"]),
        (async_socket.AsyncSocket, "check_ping_timeout", ["self"]),
        (async_socket.AsyncSocket, "handle_get_request", ["self", "environ"]),
        (async_socket.AsyncSocket, "handle_post_request", ["self", "environ"]),
        (async_socket.AsyncSocket, "_websocket_handler", ["self", "ws"]),
        (engineio.AsyncServer, "create_queue", ["self", "args", "kwargs"]),
        (engineio.AsyncServer, "_handle_connect", ["self", "environ", "transport", "jsonp_index"]),
        (engineio.AsyncServer, "_trigger_event", ["self", "event", "args", "kwargs"]),
        (engineio.AsyncServer, "_service_task", ["self"]),
        (engineio.AsyncServer, "_upgrades", ["self", "sid", "transport"]),
        (engineio.AsyncServer, "_ok", ["self", "packets", "headers", "jsonp_index"]),
        (socketio.AsyncServer, "_handle_connect", ["self", "eio_sid", "namespace", "data"]),
        (socketio.AsyncServer, "_handle_disconnect", ["self", "eio_sid", "namespace", "reason"]),
        (socketio.AsyncServer, "_send_packet", ["self", "eio_sid", "pkt"]),
        (socketio.AsyncServer, "_engineio_server_class", ["self"]),
        (socketio.AsyncManager, "sid_from_eio_sid", ["self", "eio_sid", "namespace"]),
        (socketio.AsyncManager, "eio_sid_from_sid", ["self", "sid", "namespace"]),
        (socketio.AsyncManager, "is_connected", ["self", "sid", "namespace"]),
        (socketio.AsyncManager, "disconnect", ["self", "sid", "namespace", "kwargs"]),
        (socketio.AsyncManager, "basic_disconnect", ["self", "sid", "namespace", "kwargs"]),
        (WebSocketsSansIOProtocol, "send", ["self", "message"]),
    ],
)
def test_overridden_and_called_methods_have_the_known_parameters(owner: type, name: str, parameters: list[str]) -> None:
    """They are there, with these parameters."""
    method: Callable[..., Any] = getattr(owner, name)
    assert list(inspect.signature(method).parameters) == parameters


def test_connection_has_the_known_attributes() -> None:
    """What an Engine.IO socket keeps, and that our queue is its queue."""

    async def make() -> Connection:
        return Connection(Engine(async_mode="asgi"), "sid")

    connection = asyncio.run(make())
    assert isinstance(connection.queue, OutboundQueue)
    assert {"closed", "closing", "connected", "upgraded", "upgrading", "last_ping", "queue"} <= vars(connection).keys()
    assert isinstance(connection, base_socket.BaseSocket)


def test_messages_with_client_text_are_never_logged() -> None:
    """All keys by which python-engineio logs a message only once."""
    source = Path(inspect.getfile(engineio.AsyncServer)).read_text()
    said = set(re.findall(r"'((?:bad|not|unexpected)-[a-z-]+)'", source))
    assert said == set(LOGGED_ONCE)
    assert isinstance(Engine(async_mode="asgi").log_message_keys, set)


def test_asgi_driver_exposes_its_channels() -> None:
    """The reader and the writer use them directly."""
    source = inspect.getsource(asgi.WebSocket.__call__)
    assert "self.asgi_receive = environ['asgi.receive']" in source
    assert "self.asgi_send = environ['asgi.send']" in source


def test_uvicorn_exposes_whether_a_client_reads() -> None:
    """`writable`, `disconnected`, `close_sent` and `transport` belong to its protocol, `send` is a method of it."""
    source = inspect.getsource(WebSocketsSansIOProtocol)
    for attribute in ("self.writable = asyncio.Event()", "self.disconnected = False", "self.close_sent = False"):
        assert attribute in source
    assert "self.writable.clear()" in inspect.getsource(WebSocketsSansIOProtocol.pause_writing)
    assert "self.writable.set()" in inspect.getsource(WebSocketsSansIOProtocol.connection_lost)
    assert "await self.app(self.scope, self.receive, self.send)" in inspect.getsource(WebSocketsSansIOProtocol.run_asgi)


def test_uvicorn_accepts_the_pong_of_our_ping() -> None:
    """It forgets the payload with the pong that repeats it, and starts nothing: its own pings are switched off."""
    source = inspect.getsource(WebSocketsSansIOProtocol.handle_pong)
    assert "if self.pending_ping_payload is None or bytes(event.data) != self.pending_ping_payload:" in source
    assert "self.pending_ping_payload = None" in source
    assert "if self.pong_timer is not None:" in source
    assert "self.read_paused = True" in inspect.getsource(WebSocketsSansIOProtocol.send_receive_event_to_app)
    assert Frame(Opcode.PING, b"abcd").serialize(mask=False) == PING + b"abcd"
    assert len(b"abcd") == NONCE


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_frames_equal_those_of_websockets(length: int) -> None:
    """What we write is what uvicorn's library would have written."""
    text = "ä" * (length // 2) + "x" * (length % 2)
    frame = text_frame(text.encode())
    assert frame == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
    assert payload_of(frame) == text.encode()


async def test_queue_knows_its_size_in_bytes() -> None:
    """In bytes, over put and get; and when there is little in it again."""
    queue = OutboundQueue()
    packet = engineio_packet.Packet(engineio_packet.MESSAGE, "12345")
    queue.put_nowait(packet)
    queue.put_nowait(engineio_packet.Packet(engineio_packet.NOOP))
    queue.put_nowait(None)
    assert queue.size == 5
    assert await queue.get() is packet
    assert queue.size == 0
    large = OurFrame("ä".encode() * NEARLY_EMPTY)
    queue.put_nowait(large)
    assert queue.size == len(large.wire) > 2 * NEARLY_EMPTY
    assert not queue.nearly_empty.is_set()
    while await queue.get() is not large:
        pass
    assert queue.nearly_empty.is_set()


def test_frame_is_encoded_once_for_all_recipients() -> None:
    """The WebSocket frame is kept; long-polling reads it back, through python-engineio's own payload."""
    frames = [OurFrame(b"2[]"), OurFrame(b"2" + b"x" * 70_000)]
    assert frames[0].wire == b"\x81\x0442[]"
    assert Payload(frames).encode() == "42[]\x1e42" + "x" * 70_000


def test_transport_of_an_unread_response_can_be_aborted() -> None:
    """Uvicorn's HTTP cycle, which owns `send`, knows its transport."""
    source = inspect.getsource(RequestResponseCycle)
    assert "self.transport = transport" in source
    assert "self.scope, self.receive, self.send" in source
