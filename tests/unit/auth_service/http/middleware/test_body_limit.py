"""The limit on request bodies, on plain ASGI."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from auth_service.http.middleware.body_limit import BODY_MAX, BodyLimit
from shared.errors import PayloadTooLarge
from shared.http.problems import problem


class Reader:
    """An app that reads the whole body."""

    def __init__(self) -> None:
        self.body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        try:
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
        except PayloadTooLarge as error:
            await problem(error)(scope, receive, send)
            return
        self.body = body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def exchange(chunks: Sequence[bytes], declared: int | str | None = None) -> tuple[Reader, list[Message], int]:
    """Run the app; return it, the messages sent to the client, and the number of chunks read from it."""
    app, sent, taken = Reader(), [], 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        if taken > len(chunks):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks[taken - 1], "more_body": taken < len(chunks)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/register", "headers": headers}
    await BodyLimit(app)(scope, receive, send)
    return app, sent, taken


def is_refused(sent: list[Message]) -> bool:
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"] == 413 and json.loads(body)["code"] == "payload_too_large"


async def test_body_of_exactly_the_limit_is_accepted() -> None:
    app, sent, _ = await exchange([b"x" * 4096, b"x" * (BODY_MAX - 4096)], BODY_MAX)
    assert sent[0]["status"] == 200
    assert app.body == b"x" * BODY_MAX


async def test_declared_body_over_the_limit_never_reaches_the_app() -> None:
    app, sent, _ = await exchange([b"x" * (BODY_MAX + 1)], BODY_MAX + 1)
    assert is_refused(sent)
    assert app.body is None
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_chunked_body_is_refused_at_the_limit() -> None:
    app, sent, _ = await exchange([b"x" * 1024] * 9)
    assert is_refused(sent)
    assert app.body is None


async def test_false_content_length_does_not_bypass_the_limit() -> None:
    _, sent, _ = await exchange([b"x" * 1024] * 9, 10)
    assert is_refused(sent)


async def test_content_length_that_is_no_number_is_refused() -> None:
    for declared in ("-1", "1e3", "9" * 5000):
        _, sent, _ = await exchange([b"x"], declared)
        assert is_refused(sent)


async def test_rest_of_a_refused_body_is_read_up_to_a_bound() -> None:
    """The answer is sent first; a client may send a few more MiB and then read it; a longer body is cut off."""
    _, sent, taken = await exchange([b"x" * 65_536] * 64, 64 * 65_536)
    assert is_refused(sent)
    assert taken == 64
    _, sent, taken = await exchange([b"x" * 1_048_576] * 200, 200 * 1_048_576)
    assert is_refused(sent)
    assert taken < 20
    assert not sent[-1].get("more_body")
