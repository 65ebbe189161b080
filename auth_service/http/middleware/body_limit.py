"""Limits the size of request bodies (pure ASGI)."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import PayloadTooLarge
from shared.http.problems import problem

BODY_MAX = 8 * 1024  # bytes (contract.md §1.2)
LINGER = 2.0  # seconds in which the rest of a refused body is read and dropped, so that the client reads the response
CLOSE = {"Connection": "close"}
LINGER_MAX = 16 * 1024 * 1024  # bytes of that rest


class BodyLimit:
    """Answers bodies over `BODY_MAX` with 413, with a `Content-Length` or chunked.

    The size of a chunked body is only known while the app reads it: `receive` then raises `PayloadTooLarge` in the app,
    whose error handler sends the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with a `receive` that counts bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send)
        if _declared(scope) > BODY_MAX:
            body.exceeded = True
            await problem(PayloadTooLarge(), CLOSE)(scope, receive, body.answer)
        else:
            await self._app(scope, body.receive, body.answer)


class _Body:
    """Counts the body of one request, and sends its response."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._size = 0
        self.exceeded = False

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            PayloadTooLarge: the body exceeds the limit.
        """
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > BODY_MAX:
            self.exceeded = True
            raise PayloadTooLarge
        return message

    async def answer(self, message: Message) -> None:
        """Send a part of the response; after a refusal, drop the rest of the body before the connection is closed.

        Closing a connection with unread bytes resets it, and the client may see the reset before the response.
        """
        if not self.exceeded or message["type"] != "http.response.body" or message.get("more_body", False):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await _drop(self._receive)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else BODY_MAX + 1
    return 0


async def _drop(receive: Receive) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(LINGER):
            while dropped <= LINGER_MAX:
                message = await receive()
                dropped += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
