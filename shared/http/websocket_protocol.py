"""WebSockets with a bound on what is made of one read: uvicorn has none.

Leans on private parts of uvicorn 0.54 (tests/unit/shared/http/test_websocket_protocol.py says which).
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SLICE = 16 * 1024  # bytes that are parsed at once
NOTHING = memoryview(b"")


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Parses the rest of a read when what came before it has been taken.

    The loop reads up to 256 KiB at once. In frames of a few bytes that is 11,000 messages, and as objects they take ten
    times the memory: one socket of a flood was worth 1.9 MiB.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._rest = NOTHING

    def data_received(self, data: bytes) -> None:
        """Parse, if it is much, only the beginning: reads wait until that is taken."""
        if not self._rest and len(data) <= SLICE:
            super().data_received(data)
            return
        self._rest = memoryview(self._rest.tobytes() + data)
        self._parse()

    async def receive(self) -> Any:
        """One message for the application."""
        message = await super().receive()
        if self._rest and self.queue.empty():
            self._parse()
        return message

    def _parse(self) -> None:
        while self._rest and not self.read_paused and not self.transport.is_closing():
            piece, self._rest = self._rest[:SLICE], self._rest[SLICE:] or NOTHING
            super().data_received(piece.tobytes())
