"""The writer of a WebSocket: writes all queued packets of a connection at once.

It bypasses the ASGI interface of uvicorn if the protocol class is the known one (private parts of uvicorn 0.54, pinned
by tests/unit/chat_gateway/transport/test_private_parts.py). Other servers get plain ASGI messages.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol as WebSocketProtocol

__all__ = [
    "Stalled",
    "WebSocketProtocol",
    "payload_of",
    "protocol_of",
    "text_frame",
    "write_frames",
]

JOINED_MAX = 64 * 1024  # bytes, above which a write takes no further frame


class Stalled(Exception):
    """The client does not read."""


def protocol_of(asgi_send: Any) -> WebSocketProtocol | None:
    """Return the protocol object of uvicorn behind an ASGI `send`, or `None` for another server."""
    owner = getattr(asgi_send, "__self__", None)
    return owner if isinstance(owner, WebSocketProtocol) else None


async def write_frames(queue: asyncio.Queue[Any], asgi_send: Any, patience: float) -> None:
    """Write the packets of a queue until it yields `None` or the client has disconnected.

    Raises:
        Stalled: the transport has not become writable for `patience` seconds.
        OSError: the client has disconnected.
    """
    protocol = protocol_of(asgi_send)
    if protocol is None:
        while (packet := await queue.get()) is not None:
            await asgi_send({"type": "websocket.send", "text": packet.encode()})
        return
    last = False
    while not last:
        first = await queue.get()
        if not protocol.writable.is_set():
            await _until_writable(protocol, patience)
        if protocol.disconnected or protocol.close_sent or protocol.transport.is_closing():
            return
        last, frames = _gather(first, queue)
        first = None  # frees the packet while the loop waits
        if frames:
            protocol.transport.write(frames.pop() if len(frames) == 1 else b"".join(frames))
        frames.clear()


def _gather(packet: Any, queue: asyncio.Queue[Any]) -> tuple[bool, list[bytes]]:
    """Return whether the queue has ended, and the frames of `packet` and of the packets queued behind it."""
    frames: list[bytes] = []
    size = 0
    while packet is not None:
        frame = getattr(packet, "wire", None) or text_frame(packet.encode().encode())
        frames.append(frame)
        size += len(frame)
        if size >= JOINED_MAX or queue.empty():
            return False, frames
        packet = queue.get_nowait()
    return True, frames


async def _until_writable(protocol: WebSocketProtocol, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            await protocol.writable.wait()
    except TimeoutError:
        raise Stalled from None


def text_frame(payload: bytes) -> bytes:
    """Return a final unmasked text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def payload_of(frame: bytes) -> bytes:
    """Return the payload of a frame made by `text_frame`."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]
