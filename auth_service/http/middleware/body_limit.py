"""A bound on request bodies, before anything reads them (pure ASGI)."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import PayloadTooLarge
from shared.runtime.http import problem

BODY_MAX = 8 * 1024  # bytes (contract §1)
LINGER = 2.0  # seconds that the rest of a refused body is read and dropped, so that the refusal can be read
CLOSE = {"Connection": "close"}
LINGER_MAX = 16 * 1024 * 1024  # bytes of it


class BodyLimit:
    """Answers 413 to a body over `BODY_MAX`, declared (`Content-Length`) or not (chunked).

    An undeclared one shows only while the app reads it: `receive` then raises `PayloadTooLarge` into the app,
    whose own handler answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with a counting `receive`."""
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
    """One request's body as it comes in, and the answer to it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._size = 0
        self.exceeded = False

    async def receive(self) -> Message:
        """The next part.

        Raises:
            PayloadTooLarge: with it the body is over the limit.
        """
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > BODY_MAX:
            self.exceeded = True
            raise PayloadTooLarge
        return message

    async def answer(self, message: Message) -> None:
        """Pass on; between the answer to a refused body and the close, let the client finish sending for a while.

        Closing with unread bytes resets the connection, and a reset can overtake the answer on its way.
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
