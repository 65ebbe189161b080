"""Just enough Engine.IO 4 and Socket.IO 5 framing for a client: text frames of the default namespace."""

from __future__ import annotations

from typing import Any

import orjson

WEBSOCKET_PATH = "/socket.io/?EIO=4&transport=websocket"

# First byte of a frame: the Engine.IO packet type.
OPEN, CLOSE, PING, PONG, MESSAGE = b"01234"
# Second byte of a MESSAGE frame: the Socket.IO packet type.
CONNECTED, DISCONNECTED, EVENT, ACK, CONNECT_ERROR = b"01234"

PONG_FRAME = b"3"


def connect(auth: dict[str, Any]) -> bytes:
    """The frame that connects to the default namespace."""
    return b"40" + orjson.dumps(auth)


def event(name: str, payload: dict[str, Any], ack_id: int) -> bytes:
    """The frame of an event that wants an ack."""
    return b'42%d["%b",%b]' % (ack_id, name.encode(), orjson.dumps(payload))


def read_event(frame: bytes) -> tuple[str, dict[str, Any]]:
    """Name and payload of an EVENT frame without an ack id."""
    parts = orjson.loads(memoryview(frame)[2:])
    return parts[0], parts[1] if len(parts) > 1 else {}


def read_ack(frame: bytes) -> tuple[int, dict[str, Any]]:
    """Ack id and answer of an ACK frame."""
    start = frame.index(b"[")
    answer = orjson.loads(memoryview(frame)[start:])
    return int(frame[2:start]), answer[0] if answer else {}
