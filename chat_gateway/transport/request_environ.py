"""Translates HTTP requests and WebSocket handshakes from ASGI to the environment that python-engineio reads.

The translation of python-engineio creates a class for each request. Only the oldest generation of the garbage collector
frees it, so that each connection kept 20 KiB for hours.
"""

from __future__ import annotations

from typing import Any

from starlette.types import Message, Receive, Scope, Send

UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})  # as in WSGI (PEP 3333); other headers begin with HTTP_


class Body:
    """The body of a request, received on the first read."""

    def __init__(self, first: Message, receive: Receive) -> None:
        self._message = first
        self._receive = receive

    async def read(self, length: int) -> bytes:
        """Return at most `length` bytes; further ones are received and dropped."""
        parts = [self._message.get("body", b"")]
        kept = len(parts[0])
        while self._message.get("more_body", False):
            self._message = await self._receive()
            part = self._message.get("body", b"")
            if kept < length:
                parts.append(part)
                kept += len(part)
        return b"".join(parts)[:length]


async def translate_request(scope: Scope, receive: Receive, send: Send) -> dict[str, Any]:
    """Return the environment of a request; empty for an ASGI message of another type."""
    message = await receive()
    if message["type"] not in ("http.request", "websocket.connect"):
        return {}
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "PATH_INFO": scope["path"],
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "wsgi.input": Body(message, receive),
        "wsgi.url_scheme": "http",  # used only to check origins, which `PublicApp` has done
        "asgi.receive": receive,
        "asgi.send": send,
        "asgi.scope": scope,
    }
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        key = name if name in UNPREFIXED else f"HTTP_{name}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
