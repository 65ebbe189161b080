"""A client that reads repeats the payload of a ping; when pings are sent, and how long a pong is due."""

from __future__ import annotations

from typing import Any

from chat_gateway.transport.read_probe import NONCE, PING, PING_EVERY, ReadProbe


class Protocol:
    """What of uvicorn's is looked at."""

    def __init__(self) -> None:
        self.pending_ping_payload: bytes | None = None
        self.read_paused = self.close_sent = False
        self.transport = self
        self.written: list[bytes] = []

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written.append(data)


def probe_of(protocol: Any) -> ReadProbe:
    return ReadProbe(protocol)


def test_pings_are_sent_one_at_a_time_and_not_too_often() -> None:
    """The first one after a while, the next one a while after the answer."""
    protocol = Protocol()
    probe = probe_of(protocol)
    assert not probe.send_ping()
    assert probe.seconds_owed(PING_EVERY) == 0
    assert probe.send_ping()
    [ping] = protocol.written
    assert ping == PING + (protocol.pending_ping_payload or b"")
    assert len(ping) == len(PING) + NONCE
    assert probe.seconds_owed(PING_EVERY) == PING_EVERY
    assert not probe.send_ping()
    protocol.pending_ping_payload = None
    assert probe.seconds_owed(1.0) == 0
    assert not probe.send_ping()
    probe.seconds_owed(PING_EVERY - 1.0)
    assert probe.send_ping()
    assert protocol.written[0] != protocol.written[1]


def test_time_with_paused_reading_does_not_count() -> None:
    """A pong may stand behind events that are held back."""
    protocol = Protocol()
    probe = probe_of(protocol)
    probe.seconds_owed(PING_EVERY)
    assert probe.send_ping()
    assert probe.seconds_owed(1.0) == 1.0
    protocol.read_paused = True
    assert probe.seconds_owed(1.0) == 1.0
    protocol.read_paused = False
    assert probe.seconds_owed(1.0) == 2.0


def test_closing_connection_is_not_pinged() -> None:
    """Nothing may follow the frame that closes a WebSocket."""
    protocol = Protocol()
    probe = probe_of(protocol)
    probe.seconds_owed(PING_EVERY)
    protocol.close_sent = True
    assert not probe.send_ping()
    assert protocol.written == []
