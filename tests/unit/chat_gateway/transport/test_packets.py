"""The Socket.IO codec against hostile text, and against python-socketio's own."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import Packet

from chat_gateway.transport.packets import Binary, Malformed, TextPacket, ack_text, event_text


@pytest.mark.parametrize(
    "packet",
    [
        Packet(0, {"token": "t"}),
        Packet(0),
        Packet(1),
        Packet(2, ["send_message", {"content": "a-b/c,d"}], id=13),
        Packet(2, ["send_message", {"content": "5-[ä🙂"}]),
        Packet(2, ["x"], namespace="/admin", id=1),
        Packet(3, [{"ok": True}], id=0),
        Packet(1, namespace="/admin"),
    ],
)
def test_packets_of_the_library_are_read(packet: Packet) -> None:
    read = TextPacket(encoded_packet=packet.encode())
    assert (read.packet_type, read.data, read.id) == (packet.packet_type, packet.data, packet.id)
    assert read.namespace == packet.namespace


@pytest.mark.parametrize("text", ["51-[]", '452-["x"]', "61-1[]", "5", b"2[]", bytearray(b"x"), 7])
def test_binary_is_refused_before_state_is_kept(text: Any) -> None:
    if isinstance(text, str) and text.startswith("4"):
        text = text[1:]
    with pytest.raises(Binary):
        TextPacket(encoded_packet=text)


@pytest.mark.parametrize(
    ("text", "ack_id"),
    [
        ("²[]", None),
        ("x", None),
        ("7[]", None),
        ("9", None),
        ("2[", None),
        ("21[", 1),
        ("25[NaN]", 5),
        ('25["\\ud800"]', 5),
        ("2" + "1" * 16 + "[]", None),
        ("25" + "[" * 20_000, 5),
        ("2/" + "n" * 300, None),
        ('2٣["x"]', None),
    ],
)
def test_malformed_packet_reports_its_ack_id_if_readable(text: str, ack_id: int | None) -> None:
    with pytest.raises(Malformed) as caught:
        TextPacket(encoded_packet=text)
    assert caught.value.ack_id == ack_id


@given(st.text(max_size=200) | st.from_regex(r"[0-6](/[a-z]*,)?[0-9]{0,20}(\[.*\]|\{.*\})?", fullmatch=True))
def test_any_text_is_a_packet_or_a_refusal(text: str) -> None:
    with contextlib.suppress(Binary, Malformed):
        TextPacket(encoded_packet=text)


def test_library_reads_our_packets() -> None:
    assert Packet(encoded_packet=event_text("message", {"a": "ä"}).decode()).data == ["message", {"a": "ä"}]
    ack = Packet(encoded_packet=ack_text(7, {"ok": True}).decode())
    assert (ack.packet_type, ack.id, ack.data) == (3, 7, [{"ok": True}])
