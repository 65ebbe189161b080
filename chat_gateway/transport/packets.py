"""Codec of Socket.IO text packets (protocol v5) on orjson.

Source: https://github.com/socketio/socket.io-protocol. Binary packets are refused before any state is kept for them: a
packet whose attachments never arrive would otherwise stay in memory.
"""

from __future__ import annotations

from typing import Any

import orjson
from socketio import packet as socketio_packet

ID_DIGITS_MAX = 15  # digits of an ack id
NAMESPACE_MAX = 200  # characters
DIGITS = frozenset("0123456789")


class Malformed(ValueError):
    """Text that is not a packet. `ack_id`, if it could be read. `connect`: a connect with invalid data."""

    def __init__(self, reason: str, *, ack_id: int | None = None, connect: bool = False) -> None:
        super().__init__(reason)
        self.ack_id = ack_id
        self.connect = connect


class Binary(ValueError):
    """A binary packet, for which the connection is closed."""


class JSON:
    """orjson with the interface that python-socketio and python-engineio expect of a JSON module."""

    @staticmethod
    def dumps(value: Any, **_options: Any) -> str:
        """Return the JSON text of a value."""
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_options: Any) -> Any:
        """Parse JSON; raises `ValueError` for anything else, including lone surrogates and NaN."""
        return orjson.loads(text)


class TextPacket(socketio_packet.Packet):  # type: ignore[misc]
    """The packet class of `SocketServer`: text only."""

    uses_binary_events = False
    json = JSON

    def decode(self, encoded_packet: Any) -> int:
        """Parse a packet into this object; return 0, the number of attachments.

        Raises:
            Binary: bytes, or a packet that announces attachments.
            Malformed: any other input that is not a packet.
        """
        if not isinstance(encoded_packet, str):
            raise Binary
        kind = encoded_packet[:1]
        if kind in ("5", "6"):
            raise Binary
        if kind not in DIGITS or int(kind) > socketio_packet.CONNECT_ERROR:
            raise Malformed("unknown packet type")
        self.packet_type = int(kind)
        self.namespace, at = _namespace(encoded_packet, 1)
        self.id, at = _ack_id(encoded_packet, at)
        self.data = None
        if at < len(encoded_packet):
            try:
                self.data = orjson.loads(encoded_packet[at:])
            except ValueError:  # RecursionError is impossible: orjson limits the depth
                connect = self.packet_type == socketio_packet.CONNECT and self.namespace is None
                raise Malformed("invalid JSON", ack_id=self.id, connect=connect) from None
        return 0


def _namespace(text: str, at: int) -> tuple[str | None, int]:
    if text[at : at + 1] != "/":
        return None, at
    end = text.find(",", at, at + NAMESPACE_MAX)
    if end == -1 and len(text) > at + NAMESPACE_MAX:
        raise Malformed("namespace too long")
    name, at = (text[at:], len(text)) if end == -1 else (text[at:end], end + 1)
    name = name.partition("?")[0]
    return (None if name == "/" else name), at


def _ack_id(text: str, at: int) -> tuple[int | None, int]:
    end = at
    while text[end : end + 1] in DIGITS and end < len(text):
        end += 1
        if end - at > ID_DIGITS_MAX:
            raise Malformed("ack id too long")
    return (int(text[at:end]) if end > at else None), end


def event_text(name: str, payload: Any) -> bytes:
    """Return an event packet of namespace `/` in UTF-8."""
    return b"2" + orjson.dumps([name, payload])


def ack_text(ack_id: int, body: Any) -> bytes:
    """Return an ack packet of namespace `/` in UTF-8."""
    return b"3%d" % ack_id + orjson.dumps([body])
