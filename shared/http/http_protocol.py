"""HTTP/1.1 with bounds on what a client may make us wait for and keep: uvicorn has none.

Leans on private parts of uvicorn 0.54 (tests/unit/shared/http/test_http_protocol.py says which).
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.errors import BackchatError, InvalidRequest, PayloadTooLarge
from shared.http.problems import problem

HEAD_WITHIN = 9.0  # seconds for a whole request line with its headers, from the connection or its first byte
BODY_WITHIN = 9.0  # seconds for a whole body,
BODY_RATE = 16 * 1024  # and a second more for as many bytes of it,
BODY_WITHIN_MOST = 30.0  # but never more seconds than this
READ_WITHIN = 30.0  # seconds in which a client has to read what waits for it
IDLE_WITHIN = 9  # seconds between two requests
URL_MAX = 8 * 1024  # bytes
HEAD_MAX = 32 * 1024  # bytes of the request line and the headers
FRAMING_MAX = 16  # bytes around a byte of a body: more is no body but an attack on what parses it


class Unreadable(InvalidRequest):
    """This is no HTTP request."""

    status = 400


class UrlTooLong(PayloadTooLarge):
    """The address is too long."""

    status = 414


class HeadTooLong(PayloadTooLarge):
    """The headers are too long."""

    status = 431


class BoundedHttpProtocol(HttpToolsProtocol):
    """Cuts off who sends too slowly or too much, or does not read; a WebSocket is left alone once it is one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: Literal["head", "body"] | None = None
        self._since = 0.0  # of the loop's clock, when that began
        self._cutting: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of the lines that are complete
        self._body_bytes = 0
        self._raw_bytes = 0  # of this request, from its second read on
        self._begun = False
        self._error: type[BackchatError] = Unreadable  # what `send_400_response` says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Who connects has something to say."""
        super().connection_made(transport)
        self._await("head", HEAD_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._await(None)
        self._read_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and look whether what came is a request at all."""
        if self._reading is None and (self.cycle is None or self.cycle.response_complete):
            self._await("head", HEAD_WITHIN)
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
        """A request."""
        super().on_message_begin()
        if self._reading != "head":
            self._await("head", HEAD_WITHIN)
        self._begun = True
        self._head_bytes = self._body_bytes = self._raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Part of its line."""
        super().on_url(url)
        if len(self.url) > URL_MAX:
            self._error = UrlTooLong
            raise UrlTooLong
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Now its body."""
        self._await("body", BODY_WITHIN)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of it."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The answer may take as long as it likes."""
        self._await(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on it is another protocol's; nobody tells this one of the end, so it lets go of its parser now.

        The two hold each other, and of what has lived for a while the collector frees such pairs once in hours.
        """
        self._await(None)
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._stalling = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._read_again()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answer what is no request with a problem document, and close."""
        answer = problem(self._error(), {"Connection": "close"})
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self.transport.write(STATUS_LINE[answer.status_code] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX:
            self._error = HeadTooLong
            raise HeadTooLong

    def _await(self, part: Literal["head", "body"] | None, within: float = 0.0) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None
        self._reading = part
        if part is not None:
            self._since = self.loop.time()
            self._cutting = self.loop.call_later(within, self._cut)

    def _cut(self) -> None:
        """Time is up, but for a body that comes steadily."""
        left = 0.0
        if self._reading == "body":
            most = min(BODY_WITHIN + self._body_bytes / BODY_RATE, BODY_WITHIN_MOST)
            left = self._since + most - self.loop.time()
        if left > 0.01:
            self._cutting = self.loop.call_later(left, self._cut)
        else:
            self.transport.abort()

    def _read_again(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None
