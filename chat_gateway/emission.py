"""Emission: an event is encoded once, whoever receives it, and the packet is put on each client's own queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from engineio import packet as engineio_packet

from chat_gateway.packets import ack_text, event_text


class Frame(engineio_packet.Packet):  # type: ignore[misc]
    """One Engine.IO message packet; it caches its encoded form, so that many clients share it."""


class Recipient(Protocol):
    """Somebody who can be sent a frame."""

    def send(self, frame: Frame) -> None:
        """Queue it; never waits, never raises."""


def event(name: str, payload: Any) -> Frame:
    """The frame of a server event."""
    return Frame(engineio_packet.MESSAGE, event_text(name, payload))


def ack(ack_id: int, body: Any) -> Frame:
    """The frame of an ack."""
    return Frame(engineio_packet.MESSAGE, ack_text(ack_id, body))


def send_all(recipients: Iterable[Recipient], frame: Frame) -> None:
    """The same frame to each."""
    for recipient in recipients:
        recipient.send(frame)
