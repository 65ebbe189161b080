"""Streams whose clients do not read: they are cut off, and no other client notices."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chat_gateway.streams.stream import Stream
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.following import stream
from tests.integration.chat_gateway.rooms import ok
from tests.support.waiting import until

LARGE = "x" * 15_000


@asynccontextmanager
async def unread(running: Running, session: dict[str, Any], query: str = "") -> AsyncIterator[sockets.socket]:
    """Open a stream on a connection with small buffers that is never read."""
    loop = asyncio.get_running_loop()
    with sockets.socket() as connection:
        connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", running.port))
        head = (
            f"GET /v1/sessions/{session['id']}/events{query} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {running.issuer.token('ada')}\r\n\r\n"
        )
        await loop.sock_sendall(connection, head.encode())
        await until(lambda: running.metric("streams") >= 1)
        yield connection


def queued(running: Running) -> int:
    """Return the bytes of all queues and written buffers of streams."""
    streams = [each for each in running.server._callbacks._connected_users.all_sockets() if isinstance(each, Stream)]
    return sum(each.queue.size + each._transport.get_write_buffer_size() for each in streams)


async def test_stream_whose_queue_is_full_is_cut_off(running: Running) -> None:
    """Its memory stays bounded; another stream receives everything."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    most = 0
    async with unread(running, session), stream(running, session) as reading:
        await reading.until("ready")
        for number in range(100):
            running.bus.store(session["id"], f"{number} {LARGE * 6}")
            await reading.until("message", lambda message, n=number: message["seq"] == n + 1)
            most = max(most, queued(running))
        await until(lambda: running.metric("connections_aborted_total", reason="slow") == 1)
        assert running.metric("streams") == 1
    assert most < 1_500_000  # bytes: a full queue and a full buffer


async def test_stream_that_leaves_data_unread_is_cut_off_after_a_time(gateway: Running) -> None:
    """Although little is queued for it."""
    await gateway.start(read_within=1.5)
    session = await start_chat(await gateway.client("ada"))
    for number in range(40):
        gateway.bus.store(session["id"], f"{number} {LARGE}")
    async with unread(gateway, session, "?after_seq=0"):
        await until(lambda: gateway.metric("streams") == 0, within=6)
    assert gateway.metric("connections_aborted_total", reason="slow") == 1


async def test_catch_up_holds_one_page_for_a_client_that_does_not_read(running: Running) -> None:
    """Further pages are read when the client has read."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    await ok(ada, "leave_chat", session_id=session["id"])
    for number in range(1_000):
        running.bus.store(session["id"], f"{number} {LARGE}")
    async with unread(running, session, "?after_seq=0") as connection:
        await until(lambda: queued(running) > 100_000)
        asked = running.bus.asked.count("JoinSession")
        assert asked <= 3
        received = b""
        loop = asyncio.get_running_loop()
        while b"event: ready" not in received:
            received = received[-20:] + await loop.sock_recv(connection, 65_536)
    assert running.bus.asked.count("JoinSession") >= 5


async def test_unread_stream_of_a_revoked_login_is_aborted(running: Running) -> None:
    """The rest of its queue is not waited for."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    await ok(ada, "leave_chat", session_id=session["id"])
    for number in range(190):
        running.bus.store(session["id"], f"{number} {LARGE * 4}")
    async with unread(running, session, "?after_seq=0"):
        await until(lambda: queued(running) > 0)
        running.issuer.revoke("login of ada")
        await until(lambda: running.metric("streams") == 0, within=3)
