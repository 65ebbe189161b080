"""The hand-written frames are what python-socketio reads and writes."""

from __future__ import annotations

from engineio.packet import Packet as EngineIOPacket
from socketio.packet import Packet

from benchmarks.generator import protocol


def decoded(frame: bytes) -> Packet:
    engine = EngineIOPacket(encoded_packet=frame.decode())
    return Packet(encoded_packet=engine.data)


def encoded(packet_type: int, data: list[object], packet_id: int | None = None) -> bytes:
    packet = Packet(packet_type, data=data, namespace="/", id=packet_id)
    return str(EngineIOPacket(4, packet.encode()).encode()).encode()


def test_a_connect_frame_is_read() -> None:
    packet = decoded(protocol.connect({"token": "é"}))
    assert (packet.packet_type, packet.namespace, packet.data) == (0, None, {"token": "é"})


def test_an_event_frame_is_read() -> None:
    packet = decoded(protocol.event("send_message", {"content": 'a "b"'}, 17))
    assert (packet.packet_type, packet.id, packet.data) == (2, 17, ["send_message", {"content": 'a "b"'}])


def test_an_event_is_understood() -> None:
    assert protocol.read_event(encoded(2, ["message", {"seq": 1}])) == ("message", {"seq": 1})


def test_an_event_without_payload_is_understood() -> None:
    assert protocol.read_event(encoded(2, ["message"])) == ("message", {})


def test_an_ack_is_understood() -> None:
    assert protocol.read_ack(encoded(3, [{"ok": True}], 42)) == (42, {"ok": True})


def test_an_ack_without_answer_is_understood() -> None:
    assert protocol.read_ack(encoded(3, [], 7)) == (7, {})
