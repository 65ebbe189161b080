"""Server-Sent Events on the wire."""

from __future__ import annotations

import json

import pytest

from chat_gateway.transport import frames
from chat_gateway.transport.event_stream import chunk, event_text


@pytest.mark.parametrize(
    "text", ["plain", 'quotes " and \\', "line\nbreaks\r\nof\rall\u2028kinds\u2029", "🙂", "]", ""]
)
@pytest.mark.parametrize("number", [None, 7])
def test_event_of_a_stream_has_the_payload_of_the_socket_event_on_one_line(text: str, number: int | None) -> None:
    size, body = frames.event("message_delta", {"text": text}, number).chunk.split(b"\r\n", 1)
    assert len(body) == int(size, 16) + 2
    lines = body.removesuffix(b"\r\n").split(b"\n")
    assert lines[0] == b"event: message_delta"
    assert lines[-2:] == [b"", b""]
    assert json.loads(lines[-3].removeprefix(b"data: ")) == {"text": text}
    assert lines[1:-3] == ([] if number is None else [b"id: 7"])
    assert b"\r" not in lines[-3]


def test_chunk_names_its_length_in_hexadecimal() -> None:
    assert chunk(event_text("read", b"{}")) == b"16\r\nevent: read\ndata: {}\n\n\r\n"
