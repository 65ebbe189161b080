"""Whether a client reads, which it alone can show: its pong repeats what a WebSocket ping carried (RFC 6455, 5.5.3).

What was written proves nothing: the kernels of both sides take megabytes of it once a connection has been busy. Nor do
the events and the Engine.IO pongs of a client, which come from one that never reads as well. Leans on private parts of
uvicorn 0.54, which takes the pong: tests/unit/chat_gateway/transport/test_private_parts.py says which.
"""

from __future__ import annotations

from secrets import token_bytes

from chat_gateway.transport.wire import WebSocketProtocol

PING_EVERY = 5.0  # seconds between a pong and the next ping, if anything was sent meanwhile
NONCE = 4  # bytes
PING = bytes((0x89, NONCE))  # the head of its frame (RFC 6455, section 5.2)


class ReadProbe:
    """Asks one client, and says whether it has owed its answer for too long."""

    __slots__ = ("_owed", "_protocol", "_since_pong")

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self._protocol = protocol
        self._owed = 0.0  # seconds
        self._since_pong = 0.0  # seconds

    def seconds_owed(self, passed: float) -> float:
        """Seconds for which the client owes a pong, now that `passed` more are over; 0 if it owes none.

        Seconds in which this side did not listen do not count: of a client that is heard more slowly than it speaks,
        nor of any while this process stood still.
        """
        protocol = self._protocol
        if protocol.pending_ping_payload is None:
            self._owed = 0.0
            self._since_pong += passed
        elif not protocol.read_paused:
            self._owed += passed
        return self._owed

    def send_ping(self) -> bool:
        """Send a ping if it is time for one; whether it was."""
        protocol = self._protocol
        if protocol.pending_ping_payload is not None or self._since_pong < PING_EVERY:
            return False
        if protocol.close_sent or protocol.transport.is_closing():
            return False
        self._since_pong = 0.0
        protocol.pending_ping_payload = token_bytes(NONCE)
        protocol.transport.write(PING + protocol.pending_ping_payload)
        return True
