"""WebSockets with a limit on the messages parsed from one read; uvicorn has none.

Depends on private parts of uvicorn 0.54 (listed in tests/unit/shared/http/test_websocket_protocol.py).
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SLICE = 16 * 1024  # bytes parsed at a time
NOTHING = memoryview(b"")


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Parses a large read in slices, each after the application has received the messages of the previous one.

    The event loop reads up to 256 KiB at once. In frames of a few bytes that is 11,000 messages, which as objects need
    ten times the memory: one socket of a flood used 1.9 MiB.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._rest = NOTHING

    def data_received(self, data: bytes) -> None:
        """Parse the data, or its first slice; further reads are paused until its messages were received."""
        if not self._rest and len(data) <= SLICE:
            super().data_received(data)
            return
        self._rest = memoryview(self._rest.tobytes() + data)
        self._parse()

    async def receive(self) -> Any:
        """Return the next message, and parse the next slice when the queue is empty."""
        message = await super().receive()
        if self._rest and self.queue.empty():
            self._parse()
        return message

    def _parse(self) -> None:
        while self._rest and not self.read_paused and not self.transport.is_closing():
            piece, self._rest = self._rest[:SLICE], self._rest[SLICE:] or NOTHING
            super().data_received(piece.tobytes())
