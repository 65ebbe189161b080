"""Emission: an event is encoded once, whoever receives it, and the packet is put on each client's own queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from engineio import packet as engineio_packet

from chat_gateway.transport.packets import ack_text, event_text
from chat_gateway.transport.wire import payload_of, text_frame


class Frame(engineio_packet.Packet):  # type: ignore[misc]
    """One Engine.IO message packet, kept as the WebSocket frame that it leaves in; many clients share it."""

    def __init__(self, text: bytes) -> None:
        super().__init__(engineio_packet.MESSAGE)
        self.wire = text_frame(b"4" + text)

    def encode(self, b64: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002 - as in python-engineio
        """As long-polling needs it."""
        return payload_of(self.wire).decode()


class Recipient(Protocol):
    """Somebody who can be sent a frame."""

    def send(self, frame: Frame) -> None:
        """Queue it; never waits, never raises."""


def event(name: str, payload: Any) -> Frame:
    """The frame of a server event."""
    return Frame(event_text(name, payload))


def ack(ack_id: int, body: Any) -> Frame:
    """The frame of an ack."""
    return Frame(ack_text(ack_id, body))


def send_all(recipients: Iterable[Recipient], frame: Frame) -> None:
    """The same frame to each."""
    for recipient in recipients:
        recipient.send(frame)
