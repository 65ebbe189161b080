"""From a connection's queue onto its WebSocket: what waits together leaves in one write.

Below uvicorn's ASGI interface, where its protocol class is the one we know (private parts of uvicorn 0.54:
tests/unit/chat_gateway/test_private_parts.py); any other server gets plain ASGI messages.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["WebSocketsSansIOProtocol", "protocol_of", "text_frame", "write_frames"]

JOINED_MAX = 64 * 1024  # characters of one write, about


def protocol_of(asgi_send: Any) -> WebSocketsSansIOProtocol | None:
    """The protocol object of uvicorn behind an ASGI `send`; `None` where it is another server's."""
    owner = getattr(asgi_send, "__self__", None)
    return owner if isinstance(owner, WebSocketsSansIOProtocol) else None


async def write_frames(queue: asyncio.Queue[Any], asgi_send: Any) -> None:
    """Write the packets of a queue until `None` comes or the client is gone.

    Raises:
        OSError: the client is gone.
    """
    protocol = protocol_of(asgi_send)
    if protocol is None:
        while (packet := await queue.get()) is not None:
            await asgi_send({"type": "websocket.send", "text": packet.encode()})
        return
    last = False
    while not last:
        packet = await queue.get()
        frames: list[bytes] = []
        size = 0
        while packet is not None:
            frame = text_frame(packet.encode())
            frames.append(frame)
            size += len(frame)
            if size >= JOINED_MAX or queue.empty():
                break
            packet = queue.get_nowait()
        last = packet is None
        if not protocol.writable.is_set():
            await protocol.writable.wait()
        if protocol.disconnected or protocol.close_sent or protocol.transport.is_closing():
            return
        if frames:
            protocol.transport.write(b"".join(frames))


def text_frame(text: str) -> bytes:
    """One whole unmasked text frame (RFC 6455, section 5.2)."""
    payload = text.encode()
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload
