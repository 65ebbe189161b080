"""Overload: refused early, clearly and cheaply; other clients are not affected (P6)."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import time
from typing import Any
from uuid import UUID

import httpx2
import pytest
import websockets

from chat_gateway.events import calls, message_publisher
from chat_gateway.sockets import server
from chat_gateway.transport import read_probe
from chat_gateway.transport.connection import Connection
from shared.http.http_protocol import BoundedHttpProtocol
from tests.integration.chat_gateway.conftest import Client, Running, start_chat
from tests.integration.chat_gateway.raw import raw
from tests.support.waiting import pause, until


async def test_unanswered_events_of_all_sockets_are_bounded(gateway: Running) -> None:
    """`unavailable` with a `retry_after` that differs from one to the next; what was taken is answered."""
    await gateway.start(events_in_flight_all=4)
    clients = [await gateway.client(f"user{n}") for n in range(3)]
    gateway.bus.answering.clear()
    acks: list[Any] = []
    for client in clients:
        for _ in range(2):
            await client.emit("list_chatbots", {}, callback=acks.append)
    await until(lambda: len(acks) == 2)
    assert {ack["error"]["code"] for ack in acks} == {"unavailable"}
    assert len({ack["error"]["retry_after"] for ack in acks}) == 2
    gateway.bus.answering.set()
    await until(lambda: len(acks) == 6)
    assert sum(ack["ok"] for ack in acks) == 4


async def test_new_messages_are_refused_while_the_log_lags(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """New messages are refused at once, instead of running out of time; later they are taken again."""
    monkeypatch.setattr(message_publisher, "CONGESTED_MIN", 4)
    monkeypatch.setattr(message_publisher, "PUBLISH_LAG_MAX", 0.1)
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.publishing.clear()
    acks: list[Any] = []
    payload = {"session_id": session["id"], "content": "x"}
    for _ in range(4):
        await ada.emit("send_message", payload, callback=acks.append)
    await until(lambda: len(running.bus.sent) == 4)
    async with asyncio.timeout(20):
        while (ack := await _answered_soon(ada, payload, acks)) is None:
            pass
    assert ack["error"]["code"] == "unavailable"
    assert ack["error"]["retry_after"] > 0
    running.bus.publishing.set()
    await until(lambda: all(a["ok"] for a in acks[:4]) and len(acks) >= 4)
    assert (await ada.call("send_message", payload))["ok"]


async def _answered_soon(client: Client, payload: Any, acks: list[Any]) -> Any:
    """The ack if it comes at once; a message that was taken is answered later, into `acks`."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def answered(ack: Any) -> None:
        acks.append(ack) if answer.done() else answer.set_result(ack)

    await client.emit("send_message", payload, callback=answered)
    done, _ = await asyncio.wait({answer}, timeout=0.05)
    if not done:
        answer.cancel()
        return None
    return answer.result()


async def test_client_that_continues_after_refusals_is_read_more_slowly(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event is answered all the same, and the next client's as fast as ever."""
    monkeypatch.setattr(calls, "REFUSALS_PER_SECOND", 50.0)
    await gateway.start()
    ada = await gateway.client("ada")
    begun = time.monotonic()
    async with raw(gateway, "eve") as eve:
        await eve.say(*[f'42{n}["nonsense",{{}}]' for n in range(1, 201)])
        assert (await ada.call("list_chats", {}))["ok"]
        heard = time.monotonic() - begun
        for n in range(1, 201):
            ack = json.loads((await eve.hear(f"43{n}["))[len(f"43{n}") :])[0]
            assert ack["error"]["code"] == "invalid_request"
    assert time.monotonic() - begun >= 2.9  # a burst of 50, then 150 at 50 per second
    assert heard < 2.9


async def test_client_that_sends_events_is_alive_without_pongs(running: Running) -> None:
    """The pong may be behind events that are read slowly; only silence ends a connection."""
    eio = running.server.eio
    eio.ping_interval, eio.ping_timeout = 0.1, 1.0
    async with raw(running, "eve") as eve:
        begun = time.monotonic()
        while time.monotonic() < begun + 3:
            assert (await eve.ack('427["list_chats",{}]', 7))["ok"]
            await pause(0.1, "the interval of events")
        assert await eve.is_closed()


async def test_unauthenticated_connections_are_bounded(gateway: Running) -> None:
    """503 on both transports before a session is opened; a stock client then connects automatically."""
    await gateway.start(handshakes=1, sockets_per_user=1)
    address = gateway.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    async with raw(gateway, None), httpx2.AsyncClient(base_url=gateway.url) as http:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(address, compression=None)
        assert caught.value.response.status_code == 503
        assert int(caught.value.response.headers["Retry-After"]) >= 1
        refused = await http.get("/socket.io/?EIO=4&transport=polling")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert gateway.metric("sessions_refused_total", reason="full") == 2
        waiting = Client(reconnection=True, reconnection_delay=0.05, reconnection_delay_max=0.1)
        connecting = asyncio.create_task(
            waiting.connect(
                gateway.url, auth={"token": gateway.issuer.token("ada")}, transports=["websocket"], retry=True
            )
        )
        await until(lambda: gateway.metric("sessions_refused_total", reason="full") >= 4)
    await connecting
    await waiting.hears("ready")
    await until(lambda: gateway.metric("handshakes") == 0)
    await waiting.disconnect()


async def test_every_ended_handshake_frees_its_place(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authenticated, refused and disconnected, silent, aborted."""
    monkeypatch.setattr(server, "AUTHENTICATE_WITHIN", 0.2)
    await gateway.start()
    async with raw(gateway), raw(gateway, None) as refused, raw(gateway, None) as silent:
        assert gateway.metric("handshakes") == 2
        await refused.say('40{"token":"x"}')
        await silent.is_closed()
    async with httpx2.AsyncClient(base_url=gateway.url) as http:
        await http.get("/socket.io/?EIO=4&transport=polling")
    await until(lambda: gateway.metric("handshakes") == 0)
    await until(lambda: not gateway.server.eio.sockets)


async def test_closed_connection_is_freed_at_once(running: Running) -> None:
    """By reference counts only; the oldest generation of the garbage collector may not run for hours."""

    def kept() -> int:
        return sum(type(thing) in (Connection, BoundedHttpProtocol) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = kept()
        for user in (None, "ada", None, "ada", None, "ada"):
            async with raw(running, user) as client:
                assert kept() > before
                await client.say("42[", '40{"token":"x"}')
        async with httpx2.AsyncClient(base_url=running.url) as http:
            await http.get("/")
        await until(lambda: kept() <= before + 2)  # the two who look after connections may still hold the last one
    finally:
        gc.enable()


async def test_client_that_sends_pings_and_never_reads_is_cut_off(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WebSocket pongs are written by uvicorn itself, past every queue of ours."""
    monkeypatch.setattr(server, "BUFFERED_MAX", 128 * 1024)
    monkeypatch.setattr(server, "WATCH_EVERY", 0.02)
    await gateway.start()
    ada = await gateway.client("ada")
    async with raw(gateway, "eve") as eve:
        eve.ws.transport.pause_reading()

        def ping_until_cut_off() -> bool:
            if eve.ws.transport.is_closing():
                raise ConnectionResetError
            for _ in range(2_000):
                eve.ws.protocol.send_ping(b"x" * 125)
            for data in eve.ws.protocol.data_to_send():
                eve.ws.transport.write(data)
            return False

        with pytest.raises((websockets.ConnectionClosed, OSError)):
            await until(ping_until_cut_off)
    await until(lambda: gateway.metric("connections_aborted_total", reason="slow") == 1)
    assert (await ada.call("list_chats", {}))["ok"]


async def test_client_that_sends_events_and_never_reads_is_cut_off(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pongs and events are no evidence, nor are the kernels' buffers; clients that read stay."""
    monkeypatch.setattr(server, "WATCH_EVERY", 0.05)
    monkeypatch.setattr(read_probe, "PING_EVERY", 0.1)
    await gateway.start(read_within=2.0)
    ada = await gateway.client("ada")
    async with raw(gateway, "bob") as bob, raw(gateway, "eve") as eve:
        eve.ws.transport.pause_reading()

        async def ask_until_cut_off() -> None:
            while not eve.ws.transport.is_closing():
                await eve.say("3", '427["list_chats",{}]')
                assert (await ada.call("list_chats", {}))["ok"]
                await pause(0.02, "the rate of events")
            raise ConnectionResetError

        with pytest.raises((websockets.ConnectionClosed, OSError)):
            await asyncio.wait_for(ask_until_cut_off(), 40)
        await until(lambda: gateway.metric("connections_aborted_total", reason="slow") == 1)
        assert (await ada.call("list_chats", {}))["ok"]
        assert (await bob.ack('427["list_chats",{}]', 7))["ok"]


async def test_message_is_republished_if_its_rejection_was_lost(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number shows the loss, so pending messages are published again, and stored ones are not."""
    monkeypatch.setattr(message_publisher, "REPUBLISH_AFTER", 0.1)
    ada = await running.client("ada")
    bus = running.bus
    gone, other = await start_chat(ada), await start_chat(ada)
    del bus.chats[UUID(gone["id"])]
    assert (await ada.call("send_message", {"session_id": gone["id"], "content": "rejected"}))["ok"]
    await _talk(ada, other, 1)
    bus.subscription.put("", gap=True)
    numbers = itertools.count(2)

    async def republished() -> bool:
        await _talk(ada, other, next(numbers))  # shows that the log is processed
        return [send.content for send in bus.sent].count("rejected") == 2

    await until(republished, every=0.02)
    contents = [send.content for send in bus.sent]
    assert contents.count("rejected") == 2
    assert contents.count("1") == 1


async def _talk(client: Client, session: dict[str, Any], number: int) -> None:
    assert (await client.call("send_message", {"session_id": session["id"], "content": str(number)}))["ok"]
    await client.hears("message", number)
