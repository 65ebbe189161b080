"""Every process cuts off clients that send slowly, send too much or do not read (P6)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from shared.http import http_protocol
from shared.runtime.process import _config, _Server
from tests.support.waiting import pause, until

PATIENCE = 20.0  # seconds for steps that take a fraction of one
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def slow(request: Request) -> Response:
    """Answer long after the time limits for clients."""
    await pause(1.5, "a slow handler")
    return PlainTextResponse("at last")


async def large(request: Request) -> Response:
    return PlainTextResponse("x" * 50_000_000)


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text(await ws.receive_text())


@pytest.fixture
async def port() -> AsyncIterator[int]:
    routes = [Route(path, end, methods=["GET", "POST"]) for path, end in [("/", length), ("/slow", slow)]]
    app = Starlette(routes=[*routes, Route("/large", large), WebSocketRoute("/ws", echo)])
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = _Server(_config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving
    listener.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_WITHIN", "BODY_WITHIN", "READ_WITHIN"):
        monkeypatch.setattr(http_protocol, name, 0.5)


class Wire:
    """One connection, controlled byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def drip(self, data: bytes, every: float = 0.05) -> None:
        """Send a byte per interval until the connection is closed."""
        for byte in data:
            if self.writer.is_closing():
                return
            self.writer.write(bytes([byte]))
            await pause(every, "a slow client")

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def is_cut(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                while await self.reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", b""),
        (b"", GET * 50),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Slow: " + b"x" * 1_000),
        (b"", b"\r\n" * 500),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"x" * 1_000),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 500),
        (GET + b"GET", b" / HTTP/1.1\r\nX: " + b"x" * 1_000),
        (GET, b"\r\n" * 500),
    ],
    ids=["silent", "request", "headers", "newlines", "body", "chunks", "second-request", "newlines-between"],
)
async def test_client_that_sends_slowly_is_cut_off(port: int, at_once: bytes, slowly: bytes) -> None:
    """Also a client that sends steadily."""
    async with wire(port) as client:
        client.writer.write(at_once)
        dripping = asyncio.create_task(client.drip(slowly))
        assert await client.is_cut()
        dripping.cancel()


async def test_many_slow_clients_do_not_block_others(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With five hundred half-sent requests the next one is answered, and all of them are cut off."""
    monkeypatch.setattr(http_protocol, "HEAD_WITHIN", 1.0)
    half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(500)]
    for _, writer in half:
        writer.write(GET[:-2])
    async with wire(port) as client:
        client.writer.write(GET)
        assert (await client.answer())[0] == 200
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*(reader.read() for reader, _ in half), return_exceptions=True)
    for _, writer in half:
        writer.close()


@pytest.mark.usefixtures("hasty")
async def test_client_that_waits_for_the_server_is_not_cut_off(port: int) -> None:
    """A slow answer, then another request on the same connection; and a silent WebSocket."""
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", compression=None) as ws, wire(port) as client:
        for _ in range(2):
            client.writer.write(GET.replace(b"/ ", b"/slow ", 1))
            assert (await client.answer())[2] == b"at last"
        await ws.send("still here")
        assert await ws.recv() == "still here"


@pytest.mark.usefixtures("hasty")
async def test_large_body_gets_time_in_proportion_to_its_size(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more second per 16 KiB, here per 10 bytes."""
    monkeypatch.setattr(http_protocol, "BODY_RATE", 10)
    async with wire(port) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n" + b"x" * 180)
        await client.drip(b"x" * 20)
        assert (await client.answer())[2] == b"200"


@pytest.mark.usefixtures("hasty")
async def test_client_that_does_not_read_is_cut_off(port: int) -> None:
    async with wire(port) as client:
        client.writer.transport.pause_reading()
        client.writer.write(GET.replace(b"/ ", b"/large ", 1))

        def cut_off() -> bool:
            client.writer.write(b" ")
            return client.writer.is_closing()

        await until(cut_off, PATIENCE, every=0.05)


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 414, "payload_too_large"),
        ([b"GET /" + b"x" * 50_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 414, "payload_too_large"),
        ([b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"], 431, "payload_too_large"),
        ([b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"], 431, "payload_too_large"),
        ([b"GET / HTTP/1.1\r\nX: ", *[b"x" * 10_000] * 100], 431, "payload_too_large"),
        (
            [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", *[b"X: " + b"x" * 10_000 + b"\r\n"] * 20],
            431,
            "payload_too_large",
        ),
        (
            [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1;" + b"x" * 10_000 + b"\r\nx\r\n"] * 20],
            431,
            "payload_too_large",
        ),
        ([b"GARBAGE\r\n\r\n"], 400, "invalid_request"),
        ([b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"], 400, "invalid_request"),
        ([b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"], 400, "invalid_request"),
        ([b"\x16\x03\x01\x02\x00\x01\x00"], 400, "invalid_request"),
    ],
    ids=[
        "url",
        "long url",
        "header",
        "headers",
        "endless",
        "trailers",
        "extensions",
        "garbage",
        "smuggling",
        "negative",
        "tls",
    ],
)
async def test_malformed_request_is_refused(
    port: int, parts: list[bytes], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With a problem document; the connection is closed, and the log gets no warning."""
    for _ in range(10):  # bytes after the close reset the connection, and the reset may overtake the answer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with wire(port) as client:
                found, headers, body = await refused(client, parts)
                problem: dict[str, Any] = json.loads(body)
                assert (found, problem["status"], problem["code"]) == (status, status, code)
                assert headers["content-type"] == "application/problem+json"
                assert await client.is_cut()
                said = [(record.name, record.levelname) for record in caplog.records]
                assert ("uvicorn.error", "WARNING") not in said
                return
    pytest.fail("never an answer")


async def refused(client: Wire, parts: list[bytes]) -> tuple[int, dict[str, str], bytes]:
    """Send the parts one by one until the server answers."""
    answering = asyncio.create_task(client.answer())
    for part in parts:
        if not answering.done():
            client.writer.write(part)
            await pause(0.005, "the server reads one part before the next")
    return await answering
