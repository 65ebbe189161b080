"""An OpenAI-compatible server that says the same words at an even pace, to many at a time.

`python -m benchmarks.servers.tokens PORT WORDS INTERVAL`: so many words a reply, so many seconds apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
MODELS = b'{"object":"list","data":[{"id":"tokens","object":"model"}]}'
PIECE = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
END = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def chunk(data: bytes) -> bytes:
    """As HTTP/1.1 sends it where the length is not known."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int, words: int, interval: float) -> None:
    """Serve until killed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(MODELS), MODELS))
            else:
                writer.write(HEAD)
                for _ in range(words):
                    await asyncio.sleep(interval)
                    writer.write(chunk(PIECE))
                writer.write(chunk(END) + chunk(b""))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1_000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
