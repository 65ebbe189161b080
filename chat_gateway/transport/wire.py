"""From a connection's queue onto its WebSocket: what waits together leaves in one write.

Below uvicorn's ASGI interface, where its protocol class is the one we know (private parts of uvicorn 0.54:
tests/unit/chat_gateway/transport/test_private_parts.py); any other server gets plain ASGI messages.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol as WebSocketProtocol

__all__ = [
    "Stalled",
    "WebSocketProtocol",
    "cut_if_unread",
    "payload_of",
    "protocol_of",
    "text_frame",
    "write_frames",
]

JOINED_MAX = 64 * 1024  # bytes of one write, about


class Stalled(Exception):
    """The client does not read."""


def protocol_of(asgi_send: Any) -> WebSocketProtocol | None:
    """The protocol object of uvicorn behind an ASGI `send`; `None` where it is another server's."""
    owner = getattr(asgi_send, "__self__", None)
    return owner if isinstance(owner, WebSocketProtocol) else None


async def write_frames(queue: asyncio.Queue[Any], asgi_send: Any, patience: float) -> None:
    """Write the packets of a queue until `None` comes or the client is gone.

    Raises:
        Stalled: the client has read next to nothing for `patience` seconds.
        OSError: the client is gone.
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
        first = None  # nothing of it is kept here while the client does not read it
        if frames:
            protocol.transport.write(frames.pop() if len(frames) == 1 else b"".join(frames))
        frames.clear()


def _gather(packet: Any, queue: asyncio.Queue[Any]) -> tuple[bool, list[bytes]]:
    """The frames of a packet and of those that wait behind it, and whether they are the last ones."""
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


def cut_if_unread(asgi_send: Any, patience: float) -> None:
    """Cut an HTTP connection whose client reads nothing of an answer: uvicorn would keep it for ever."""
    transport = getattr(getattr(asgi_send, "__self__", None), "transport", None)
    if transport is not None and not transport.is_closing() and (left := transport.get_write_buffer_size()):
        asyncio.get_running_loop().call_later(patience, _cut_if_still, transport, left, patience)


def _cut_if_still(transport: asyncio.Transport, before: int, patience: float) -> None:
    left = transport.get_write_buffer_size()
    if left >= before:
        transport.abort()
    elif left:
        asyncio.get_running_loop().call_later(patience, _cut_if_still, transport, left, patience)


def text_frame(payload: bytes) -> bytes:
    """One whole unmasked text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def payload_of(frame: bytes) -> bytes:
    """What a frame of `text_frame` carries."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]
