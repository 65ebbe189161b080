"""The proxy forwards, cuts, stalls and delays connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.ports import free_port
from tests.support.proxy import DELAY, Proxy

PATIENCE = 20.0  # seconds


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy in front of an echo server."""

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
    """Opens connections through a proxy, and closes them afterwards."""
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


async def test_proxy_forwards_everything_in_order(proxy: Proxy, connect: Connect) -> None:
    both = [await connect(proxy), await connect(proxy)]
    text = bytes(range(256)) * 40_000
    assert await asyncio.gather(*(say(each, text) for each in both)) == [text, text]


async def test_cut_resets_open_connections_only(proxy: Proxy, connect: Connect) -> None:
    cut = await connect(proxy)
    assert await say(cut, b"before") == b"before"
    proxy.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await say(cut, b"after")
    assert await say(await connect(proxy), b"again") == b"again"


@pytest.mark.parametrize("opened", ["before", "during"])
async def test_stall_holds_data_until_resume(proxy: Proxy, connect: Connect, opened: str) -> None:
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


async def test_slow_link_delays_and_keeps_order(proxy: Proxy, connect: Connect) -> None:
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


async def test_connection_is_closed_if_target_refuses(connect: Connect) -> None:
    lonely = await Proxy(("127.0.0.1", free_port()), free_port()).start()
    reader, _ = await connect(lonely)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), PATIENCE)
    await lonely.stop()
