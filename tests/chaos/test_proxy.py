"""The proxy does to connections what it says, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.chaos.proxy import DELAY, Proxy
from tests.support.ports import free_port

PATIENCE = 20.0  # seconds


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    talks: set[asyncio.Task[None] | None] = set()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = await Proxy(("127.0.0.1", server.sockets[0].getsockname()[1]), free_port()).start()
    yield proxy
    await proxy.stop()
    server.close()
    await asyncio.gather(*filter(None, talks))


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[Proxy], Awaitable[Streams]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects; what it opened is closed afterwards."""
    opened: list[asyncio.StreamWriter] = []

    async def open_one(proxy: Proxy) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        opened.append(writer)
        return reader, writer

    yield open_one
    for writer in opened:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def say(to: Streams, text: bytes) -> bytes:
    to[1].write(text)
    return await asyncio.wait_for(to[0].readexactly(len(text)), PATIENCE)


async def test_it_passes_on_what_is_said_whole_and_in_order(proxy: Proxy, connect: Connect) -> None:
    both = [await connect(proxy), await connect(proxy)]
    text = bytes(range(256)) * 40_000
    assert await asyncio.gather(*(say(each, text) for each in both)) == [text, text]


async def test_a_cut_ends_what_is_open_and_nothing_new(proxy: Proxy, connect: Connect) -> None:
    cut = await connect(proxy)
    assert await say(cut, b"before") == b"before"
    proxy.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await say(cut, b"after")
    assert await say(await connect(proxy), b"anew") == b"anew"


@pytest.mark.parametrize("opened", ["before", "meanwhile"])
async def test_a_stall_holds_everything_until_it_is_over(proxy: Proxy, connect: Connect, opened: str) -> None:
    connection = None
    if opened == "before":
        connection = await connect(proxy)
        assert await say(connection, b"before") == b"before"
    proxy.stall()
    connection = connection or await connect(proxy)
    waiting = asyncio.create_task(say(connection, b"held"))
    assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    proxy.resume()
    assert await waiting == b"held"


async def test_a_slow_link_is_late_and_in_order(proxy: Proxy, connect: Connect) -> None:
    connection = await connect(proxy)
    proxy.slow_down()
    began = time.monotonic()
    for piece in (b"one ", b"two ", b"three"):
        connection[1].write(piece)
        await connection[1].drain()
    assert await asyncio.wait_for(connection[0].readexactly(13), PATIENCE) == b"one two three"
    assert time.monotonic() - began >= 2 * DELAY
    proxy.speed_up()
    assert await say(connection, b"fast again") == b"fast again"


async def test_without_a_server_the_connection_ends(connect: Connect) -> None:
    lonely = await Proxy(("127.0.0.1", free_port()), free_port()).start()
    reader, _ = await connect(lonely)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), PATIENCE)
    await lonely.stop()
