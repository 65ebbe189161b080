"""Frames: an event is encoded once and the same frame is put on the queue of each recipient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from engineio import packet as engineio_packet

from chat_gateway.transport.packets import ack_text, event_text
from chat_gateway.transport.wire import payload_of, text_frame


class Frame(engineio_packet.Packet):  # type: ignore[misc]
    """An Engine.IO message packet, encoded as the WebSocket frame `wire`; shared by its recipients."""

    def __init__(self, text: bytes) -> None:
        super().__init__(engineio_packet.MESSAGE)
        self.wire = text_frame(b"4" + text)

    def encode(self, b64: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002 - as in python-engineio
        """Return the packet as text, for long-polling."""
        return payload_of(self.wire).decode()


class Recipient(Protocol):
    """Anything that can be sent a frame."""

    def send(self, frame: Frame) -> None:
        """Queue a frame; never waits, never raises."""


def event(name: str, payload: Any) -> Frame:
    """Return the frame of a server event."""
    return Frame(event_text(name, payload))


def ack(ack_id: int, body: Any) -> Frame:
    """Return the frame of an ack."""
    return Frame(ack_text(ack_id, body))


def send_all(recipients: Iterable[Recipient], frame: Frame) -> None:
    """Queue one frame for each recipient."""
    for recipient in recipients:
        recipient.send(frame)
