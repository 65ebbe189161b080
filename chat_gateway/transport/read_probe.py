"""The read probe: a WebSocket ping, whose pong repeats its payload, shows that a client reads (RFC 6455, 5.5.3).

Written bytes are no evidence: once a connection has been busy, the kernels on both sides buffer megabytes. Events and
Engine.IO pongs are no evidence either: a client can send them without reading. The probe uses private parts of uvicorn
0.54, which receives the pong: tests/unit/chat_gateway/transport/test_private_parts.py lists them.
"""

from __future__ import annotations

from secrets import token_bytes

from chat_gateway.transport.wire import WebSocketProtocol

PING_EVERY = 5.0  # seconds between a pong and the next ping, if a packet was sent in between
NONCE = 4  # bytes
PING = bytes((0x89, NONCE))  # the head of a ping frame (RFC 6455, section 5.2)


class ReadProbe:
    """Pings one client and measures for how long the pong is due."""

    __slots__ = ("_owed", "_protocol", "_since_pong")

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self._protocol = protocol
        self._owed = 0.0  # seconds
        self._since_pong = 0.0  # seconds

    def seconds_owed(self, passed: float) -> float:
        """Return for how many seconds a pong is due, or 0; `passed` are the seconds since the last call.

        Time in which this side did not read does not count: while reading from the client is paused, or while the
        process was suspended.
        """
        protocol = self._protocol
        if protocol.pending_ping_payload is None:
            self._owed = 0.0
            self._since_pong += passed
        elif not protocol.read_paused:
            self._owed += passed
        return self._owed

    def send_ping(self) -> bool:
        """Send a ping if the last pong is `PING_EVERY` seconds old; return whether one was sent."""
        protocol = self._protocol
        if protocol.pending_ping_payload is not None or self._since_pong < PING_EVERY:
            return False
        if protocol.close_sent or protocol.transport.is_closing():
            return False
        self._since_pong = 0.0
        protocol.pending_ping_payload = token_bytes(NONCE)
        protocol.transport.write(PING + protocol.pending_ping_payload)
        return True
