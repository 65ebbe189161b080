"""Server-Sent Events on the wire: one event, and a chunk of an HTTP/1.1 response."""

from __future__ import annotations


def event_text(name: str, payload: bytes, number: int | None = None) -> bytes:
    """Return one event (WHATWG HTML, section 9.2); `payload` is JSON on one line."""
    if number is None:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), payload)
    return b"event: %b\nid: %d\ndata: %b\n\n" % (name.encode(), number, payload)


def chunk(text: bytes) -> bytes:
    """Return a chunk of a body (RFC 9112, section 7.1); `text` must not be empty."""
    return b"%x\r\n%b\r\n" % (len(text), text)
