"""HTTP/1.1 with limits on the time and memory that a client may use; uvicorn has none.

Depends on private parts of uvicorn 0.54 (listed in tests/unit/shared/http/test_http_protocol.py).
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.errors import BackchatError, InvalidRequest, PayloadTooLarge
from shared.http.problems import problem

HEAD_WITHIN = 9.0  # seconds for a request line and headers, from the connection or their first byte
BODY_WITHIN = 9.0  # seconds for a body,
BODY_RATE = 16 * 1024  # plus one second for each of these bytes received,
BODY_WITHIN_MOST = 30.0  # up to this maximum
READ_WITHIN = 30.0  # seconds in which a client must read pending output
IDLE_WITHIN = 9  # seconds between two requests
URL_MAX = 8 * 1024  # bytes
HEAD_MAX = 32 * 1024  # bytes of the request line and the headers
TRANSPORT = "backchat.transport"  # extension of the ASGI scope: the transport, by which a slow reader is cut off
FRAMING_MAX = 16  # bytes of chunk framing per byte of a body; more is an attack on the parser


class Unreadable(InvalidRequest):
    """This is not an HTTP request."""

    status = 400


class UrlTooLong(PayloadTooLarge):
    """The URL is too long."""

    status = 414


class HeadTooLong(PayloadTooLarge):
    """The headers are too long."""

    status = 431


class BoundedHttpProtocol(HttpToolsProtocol):
    """Aborts connections that send too slowly or too much, or do not read. Does not apply to WebSockets."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: Literal["head", "body"] | None = None
        self._since = 0.0  # start of that part, in the loop's time
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of parsed lines
        self._body_bytes = 0
        self._raw_bytes = 0  # of this request, without its first read
        self._begun = False
        self._error: type[BackchatError] = Unreadable  # sent by `send_400_response`

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request immediately."""
        super().connection_made(transport)
        self._expect("head", HEAD_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._expect(None)
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse data that is mostly framing."""
        if self._reading is None and (self.cycle is None or self.cycle.response_complete):
            self._expect("head", HEAD_WITHIN)
        self._begun = False
        super().data_received(data)
        if self._reading is None or self.transport.is_closing():
            return
        if not self._begun:
            self._raw_bytes += len(data)
        if self._raw_bytes - self._body_bytes > HEAD_MAX + FRAMING_MAX * self._body_bytes:
            self._error = HeadTooLong
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Start the limits of a request."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}  # uvicorn offers none for HTTP
        if self._reading != "head":
            self._expect("head", HEAD_WITHIN)
        self._begun = True
        self._head_bytes = self._body_bytes = self._raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Limit the URL."""
        super().on_url(url)
        if len(self.url) > URL_MAX:
            self._error = UrlTooLong
            raise UrlTooLong
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Limit the headers and trailers."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Expect the body."""
        self._expect("body", BODY_WITHIN)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the read timer; the duration of the response is not limited."""
        self._expect(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Release the parser, because this protocol is not notified of the end of the WebSocket.

        The parser and the protocol reference each other; the garbage collector would free such old cycles after hours.
        """
        self._expect(None)
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        """Start the timer for a client that does not read."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timer, because the client reads again."""
        self._stop_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Answer invalid requests with a problem document, and close the connection."""
        answer = problem(self._error(), {"Connection": "close"})
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self.transport.write(STATUS_LINE[answer.status_code] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX:
            self._error = HeadTooLong
            raise HeadTooLong

    def _expect(self, part: Literal["head", "body"] | None, within: float = 0.0) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        self._reading = part
        if part is not None:
            self._since = self.loop.time()
            self._read_timer = self.loop.call_later(within, self._abort_if_late)

    def _abort_if_late(self) -> None:
        """Abort the connection, unless a body arrives steadily."""
        left = 0.0
        if self._reading == "body":
            most = min(BODY_WITHIN + self._body_bytes / BODY_RATE, BODY_WITHIN_MOST)
            left = self._since + most - self.loop.time()
        if left > 0.01:
            self._read_timer = self.loop.call_later(left, self._abort_if_late)
        else:
            self.transport.abort()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
