"""An HTTP server that a test scripts byte by byte, so that it can misbehave in any way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

SSE = "Content-Type: text/event-stream\r\n"
JSON = "Content-Type: application/json\r\n"
CLOSING = 5.0  # seconds


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """Where a script writes its answer."""

    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def head(self, status: int = 200, headers: str = SSE) -> None:
        """A head without a length: the body ends with the connection."""
        await self.raw(f"HTTP/1.1 {status} X\r\n{headers}Connection: close\r\n\r\n".encode())

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def event(self, data: Any) -> None:
        """One event of a stream."""
        text = data if isinstance(data, str) else json.dumps(data)
        await self.raw(f"data: {text}\n\n".encode())

    async def whole(self, data: Any, status: int = 200, headers: str = JSON) -> None:
        """A whole answer."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        await self.head(status, f"{headers}Content-Length: {len(body)}\r\n")
        await self.raw(body)

    async def hang(self) -> None:
        """Send nothing more until the client closes the connection."""
        await self.reader.read()


Script = Callable[[Asked, Answer], Awaitable[None]]


@dataclass
class Wire:
    """A server on loopback; `script` is what it does with each request."""

    script: Script | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0  # connections now
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            asked = await _read(reader)
            self.asked.append(asked)
            assert self.script
            await self.script(asked, Answer(writer, reader))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(CLOSING):  # a client that stops reading would block it permanently
                    await writer.wait_closed()
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(head[0].split(" ")[1], headers, body)


@asynccontextmanager
async def serving() -> AsyncIterator[Wire]:
    """A server that has ended, with all its connections, when the block has."""
    wire = Wire()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await wire.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
