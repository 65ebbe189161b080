"""The graceful stop (P8), and half-open clients."""

from __future__ import annotations

import asyncio
import time

import httpx2
import pytest

from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.support.waiting import until


async def test_drain_answers_open_calls_and_closes_the_sockets(running: Running) -> None:
    """`going_away`, the ack of an open call, a refusal of later events, then the transport closes."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.publishing.clear()
    acks: list[dict] = []
    await ada.emit("send_message", {"session_id": session["id"], "content": "x"}, callback=acks.append)
    await until(lambda: running.bus.sent)
    drain = asyncio.create_task(running.service.drain())
    [going] = await ada.hears("going_away")
    assert 0 < going["retry_after"] <= 2
    late = await ada.call("send_message", {"session_id": session["id"], "content": "late"})
    assert late["error"]["code"] == "unavailable"
    assert ada.connected
    running.bus.publishing.set()
    await drain
    await until(lambda: not ada.connected)
    assert acks[0]["ok"]
    assert [send.content for send in running.bus.sent] == ["x"]


async def test_drain_is_bounded(running: Running) -> None:
    """A publication that is never confirmed does not extend the shutdown."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.publishing.clear()
    await ada.emit("send_message", {"session_id": session["id"], "content": "x"})
    await until(lambda: running.bus.sent)
    begun = time.monotonic()
    await running.service.drain()
    assert time.monotonic() - begun < 9  # seconds; the drain's own deadline is half of it
    await until(lambda: not ada.connected)


async def test_stock_client_reconnects_automatically(running: Running) -> None:
    """After the transport was closed; the new session at a stopping gateway is refused below Socket.IO."""
    ada = await running.client(
        "ada", client={"reconnection": True, "reconnection_delay": 0.05, "randomization_factor": 0}
    )
    running.server.connections[0].close_after_flush()
    await ada.hears("ready", 2)
    await running.service.drain()
    async with httpx2.AsyncClient(base_url=running.url) as http:
        refused = await http.get("/socket.io/?EIO=4&transport=polling")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    running.service.app.stopping = False
    running.events.stopping = False
    await ada.hears("ready", 3)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_client_without_pongs_is_disconnected(
    running: Running, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Half open: the monitor ends it, although the reader waits without a timeout."""
    eio = running.server.eio
    eio.ping_interval, eio.ping_timeout = 0.1, 0.2
    ada = await running.client("ada", transports=[transport])

    async def silent(_packet: object) -> None:
        """Nothing is answered, and nothing is said."""

    with monkeypatch.context() as patch:
        patch.setattr(ada.eio, "_send_packet", silent)
        await until(lambda: running.metric("sockets") == 0)
        await until(lambda: not eio.sockets)
