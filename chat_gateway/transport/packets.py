"""Socket.IO packets as text (protocol v5), without binary: a pure codec on orjson.

Source: https://github.com/socketio/socket.io-protocol. Binary packets are refused before anything is
kept for them (an announced attachment would be held for ever).
"""

from __future__ import annotations

from typing import Any

import orjson
from socketio import packet as socketio_packet

ID_DIGITS_MAX = 15  # digits of an ack id
NAMESPACE_MAX = 200  # characters
DIGITS = frozenset("0123456789")


class Malformed(ValueError):
    """Text that is no packet. `ack_id` where it could be read; `connect`: it was to be a connect, so it is refused."""

    def __init__(self, reason: str, *, ack_id: int | None = None, connect: bool = False) -> None:
        super().__init__(reason)
        self.ack_id = ack_id
        self.connect = connect


class Binary(ValueError):
    """A binary packet: the connection is closed for it."""


class JSON:
    """orjson in the shape that python-socketio and python-engineio expect of a JSON module."""

    @staticmethod
    def dumps(value: Any, **_options: Any) -> str:
        """As text."""
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_options: Any) -> Any:
        """`ValueError` for what is no JSON, lone surrogates and NaN included."""
        return orjson.loads(text)


class TextPacket(socketio_packet.Packet):  # type: ignore[misc]
    """The packet class of our server: text in, text out."""

    uses_binary_events = False
    json = JSON

    def decode(self, encoded_packet: Any) -> int:
        """Read a packet.

        Raises:
            Binary: bytes, or a packet that announces some.
            Malformed: anything else that is no packet.
        """
        if not isinstance(encoded_packet, str):
            raise Binary
        kind = encoded_packet[:1]
        if kind in ("5", "6"):
            raise Binary
        if kind not in DIGITS or int(kind) > socketio_packet.CONNECT_ERROR:
            raise Malformed("no packet type")
        self.packet_type = int(kind)
        self.namespace, at = _namespace(encoded_packet, 1)
        self.id, at = _ack_id(encoded_packet, at)
        self.data = None
        if at < len(encoded_packet):
            try:
                self.data = orjson.loads(encoded_packet[at:])
            except ValueError:  # RecursionError does not come: orjson limits the depth by itself
                connect = self.packet_type == socketio_packet.CONNECT and self.namespace is None
                raise Malformed("no JSON", ack_id=self.id, connect=connect) from None
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
    """An event packet of namespace `/`, in UTF-8."""
    return b"2" + orjson.dumps([name, payload])


def ack_text(ack_id: int, body: Any) -> bytes:
    """An ack packet of namespace `/`, in UTF-8."""
    return b"3%d" % ack_id + orjson.dumps([body])
