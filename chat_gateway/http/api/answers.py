"""Answers of the API as ASGI apps, with the headers that all of them have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from starlette.types import Message, Receive, Scope, Send

from chat_gateway.http.response_headers import SECURITY
from shared.errors import BackchatError, MethodNotAllowed
from shared.http.problems import problem

RawHeader = tuple[bytes, bytes]

JSON: RawHeader = (b"content-type", b"application/json")
VARY: RawHeader = (b"vary", b"Origin")
DEFAULTS: Sequence[RawHeader] = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
BEARER = {"WWW-Authenticate": "Bearer"}  # RFC 6750, section 3


class Answer:
    """A complete response."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, fields: dict[str, Any] | None = None, headers: Iterable[RawHeader] = ()) -> None:
        """Encode `fields` as JSON; `None` means no body."""
        self.status = status
        self.body = b"" if fields is None else orjson.dumps(fields)
        self.headers: list[RawHeader] = [*headers]
        if fields is not None:
            self.headers += [JSON, (b"content-length", b"%d" % len(self.body))]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def refusal(error: BackchatError, *, status: int | None = None, methods: Iterable[str] = (), **more: Any) -> Answer:
    """Return the problem document of an error; `methods` are those that a path allows, `more` are further members."""
    headers = {"Allow": ", ".join(methods)} if isinstance(error, MethodNotAllowed) else {}
    if error.status == 401:
        headers |= BEARER
    document = problem(error, headers, status=status or error.status, **more)
    answer = Answer(status or error.status)
    answer.body = bytes(document.body)
    answer.headers = list(document.raw_headers)
    return answer


def with_headers(send: Send, headers: Sequence[RawHeader]) -> Send:
    """Return a `send` that adds headers to a response, and those of `DEFAULTS` that it does not set."""

    async def completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *headers, *(each for each in DEFAULTS if each[0] not in given)]
        await send(message)

    return completed
