"""Frames: an event is encoded once and the same frame is put on the queue of each recipient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from engineio import packet as engineio_packet

from chat_gateway.transport import event_stream
from chat_gateway.transport.packets import ack_text, event_text
from chat_gateway.transport.wire import payload_of, text_frame


class Frame(engineio_packet.Packet):  # type: ignore[misc]
    """An Engine.IO message packet, encoded as the WebSocket frame `wire`; shared by its recipients.

    `name` is that of a server event, `number` its sequence number if it has one.
    """

    def __init__(self, text: bytes, name: str = "", number: int | None = None) -> None:
        super().__init__(engineio_packet.MESSAGE)
        self.wire = text_frame(b"4" + text)
        self.name = name
        self.number = number
        self._chunk: bytes | None = None

    @property
    def chunk(self) -> bytes:
        """The server event as a chunk of Server-Sent Events; made from `wire` for the first stream that needs it."""
        if self._chunk is None:
            payload = payload_of(self.wire)[len(f'42["{self.name}",') : -1]
            self._chunk = event_stream.chunk(event_stream.event_text(self.name, payload, self.number))
        return self._chunk

    def encode(self, b64: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002 - as in python-engineio
        """Return the packet as text, for long-polling."""
        return payload_of(self.wire).decode()


class Recipient(Protocol):
    """Anything that can be sent a frame."""

    def send(self, frame: Frame) -> None:
        """Queue a frame; never waits, never raises."""


def event(name: str, payload: Any, number: int | None = None) -> Frame:
    """Return the frame of a server event; `number` is its sequence number if it has one."""
    return Frame(event_text(name, payload), name, number)


def ack(ack_id: int, body: Any) -> Frame:
    """Return the frame of an ack."""
    return Frame(ack_text(ack_id, body))


def send_all(recipients: Iterable[Recipient], frame: Frame) -> None:
    """Queue one frame for each recipient."""
    for recipient in recipients:
        recipient.send(frame)
