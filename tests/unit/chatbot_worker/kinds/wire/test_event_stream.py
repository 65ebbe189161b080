"""Server-sent events out of bytes, however the wire cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.kinds.wire.event_stream import EventStream, Sent, TooLong

WIRE = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    b"data: one\n\n"
    b"event: done\r\ndata:two\r\ndata:  three\r\nid: 7\r\nretry: 1\r\n\r\n"
    b"data: caf\xc3\xa9 \xff\r\r"
    b"data\n\n\n"
    b"event: bare\n\n"
    b"nothing of ours: x\n\n"
    b"data: cut off"
)
EVENTS = [
    Sent("message", "one"),
    Sent("done", "two\n three"),
    Sent("message", "café \ufffd"),
    Sent("message", ""),
    Sent("bare", ""),
]


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_the_same_events_in_any_pieces(cuts: list[int]) -> None:
    """Ends of lines and characters of several bytes may be cut in two; what has not ended is no event."""
    stream = EventStream(1_000)
    places = [0, *sorted(cuts), len(WIRE)]
    found = [sent for begin, end in pairwise(places) for sent in stream.feed(WIRE[begin:end])]
    assert found == EVENTS


@pytest.mark.parametrize("piece", [b"x" * 30, b"data: x\n", b": x\n", b"data: " + b"x" * 90 + b"\n\n"])
def test_an_event_has_an_end(piece: bytes) -> None:
    """Whether its line, its comments or its data have none; a hundred bytes are enough here."""
    stream = EventStream(90)
    with pytest.raises(TooLong):
        for _ in range(100):
            stream.feed(piece)


def test_many_events_may_be_long_together() -> None:
    """The bound is of one."""
    stream = EventStream(20)
    assert sum(len(stream.feed(b"data: x\n\n")) for _ in range(1_000)) == 1_000
