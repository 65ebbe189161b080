"""Raw frames that no stock client sends: no crash, no leak, and an ack where one is possible."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Any

import httpx2
import pytest
import websockets

from chat_gateway.sockets import server
from chat_gateway.transport import connection
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.raw import raw
from tests.support.waiting import until

ANSWERED = [
    '427["connect",{"fake":"environ"},{"token":"x"}]',
    '427["disconnect","x"]',
    '427["no such event",{}]',
    '427["send_message"]',
    '427["send_message","text"]',
    '427["send_message",{},{}]',
    "427{}",
    "427[]",
    '427"x"',
    "427null",
    "427[7,{}]",
    "427[null]",
    "427",
    "427[",
    "427[NaN]",
    '427["send_message",{"content":"\\ud800"}]',
    '427["send_message",{"session_id":"' + "x" * 1_000 + '"}]',
    "427" + "[" * 20_000,
    '427["list_chats",{"limit":' + "9" * 5_000 + "}]",
    '427["list_chats",{"limit":1e999}]',
    '427["__init__",{}]',
]


@pytest.mark.parametrize("text", ANSWERED)
async def test_malformed_event_with_an_ack_id_is_answered(
    running: Running, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`invalid_request`, the socket lives on, and no traceback is logged."""
    async with raw(running) as client:
        with caplog.at_level(logging.INFO):
            ack = await client.ack(text, 7)
            assert ack["error"]["code"] == "invalid_request"
            assert (await client.ack('428["list_chats",{}]', 8))["ok"]
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "text",
    [
        "42{}",
        "42[]",
        "42",
        "42[",
        "4²",
        "4",
        "4x",
        "49",
        "44{}",
        "42/admin,[1]",
        "4" + "2" * 300,
        "43[]",
        "4312[1]",
        "3",
        "2",
        "6",
        "5",
    ],
)
async def test_malformed_packet_without_an_ack_id_is_ignored(
    running: Running, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A few of them do no harm; too many end the connection."""
    async with raw(running) as client:
        with caplog.at_level(logging.INFO):
            await client.say(text)
            assert (await client.ack('428["list_chats",{}]', 8))["ok"]
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_too_many_malformed_packets_close_the_connection(running: Running) -> None:
    async with raw(running) as client:
        await client.say(*["42["] * (server.REFUSALS_MAX + 1))
        assert await client.is_closed()
    assert running.metric("connections_aborted_total", reason="malformed") == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"binary",
        b"",
        '451-["send_message",{"_placeholder":true,"num":0}]',
        '452-["x",{"_placeholder":true,"num":7}]',
        "4510000000000-[]",
        "461-1[]",
        "bAAAA",
        "",
        "x",
        "9",
        "4" + "x" * connection.FRAME_MAX,
    ],
)
async def test_binary_and_large_frames_close_the_connection(running: Running, frame: str | bytes) -> None:
    """Text only, and 256 KiB at most (contract.md §3.1)."""
    async with raw(running) as client:
        with suppress(websockets.ConnectionClosed):
            await client.say(frame)
        assert await client.is_closed()
    await until(lambda: not running.server.eio.sockets)


async def test_unauthenticated_connection_is_closed(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a refusal, and also when he leaves the namespace again."""
    monkeypatch.setattr(server, "AUTHENTICATE_WITHIN", 1.0)
    async with raw(running, None) as silent, raw(running, None) as refused, raw(running) as gone, raw(running) as good:
        await refused.say('40{"token":"x"}')
        await gone.say("41")
        assert await silent.is_closed()
        assert await refused.is_closed()
        assert await gone.is_closed()
        assert (await good.ack('428["list_chats",{}]', 8))["ok"]


async def test_events_before_authentication_are_ignored(running: Running) -> None:
    """Events before, during and after a refused connect."""
    async with raw(running, None) as client:
        await client.say(
            '421["list_chats",{}]', '40{"token":"x"}', '422["list_chats",{}]', "41", '423["start_chat",{}]'
        )
        await client.hear("44")
        await client.say("40/admin,{}")
        assert json.loads((await client.hear("44/admin,")).partition(",")[2])["data"]["code"] == "unauthenticated"
    assert running.bus.asked == []


@pytest.mark.parametrize(
    "text", ['40{"token":"\\ud800.a.b"}', "40{", "40NaN", "40" + "[" * 20_000, '40{"token":1}', "401"]
)
async def test_malformed_connect_is_refused(running: Running, text: str) -> None:
    """With the code of every other connect without a token; and nothing is left of it."""
    async with raw(running, None) as client:
        await client.say(text)
        assert json.loads((await client.hear("44"))[2:])["data"]["code"] == "unauthenticated"
        assert not running.server.manager.rooms


async def test_second_connect_changes_nothing(running: Running) -> None:
    """The same socket stays who it is."""
    async with raw(running) as client:
        await client.say("40" + json.dumps({"token": running.issuer.token("eve")}))
        assert (await client.ack('421["start_chat",{}]', 1))["session"]["owner_id"] == "ada"


async def test_disconnected_namespace_can_connect_again(running: Running) -> None:
    async with raw(running) as client:
        await client.say("41", '421["list_chats",{}]')
        await client.say("40" + json.dumps({"token": running.issuer.token("eve")}))
        assert "eve" in await client.hear('42["ready"')
        assert (await client.ack('422["start_chat",{}]', 2))["session"]["owner_id"] == "eve"


async def test_events_of_one_user_are_limited(gateway: Running) -> None:
    """Over the budget `rate_limited` with `retry_after`; others do not feel it."""
    await gateway.start(events_burst=5, events_per_second=0.1)
    ada, bob = await gateway.client("ada"), await gateway.client("bob")
    acks = [await ada.call("list_chats", {}) for _ in range(7)]
    assert [ack["ok"] for ack in acks] == [True] * 5 + [False] * 2
    assert acks[-1]["error"]["code"] == "rate_limited"
    assert 0 < acks[-1]["error"]["retry_after"] <= 10.0
    assert (await bob.call("list_chats", {}))["ok"]


async def test_limits_off_lifts_the_budget(gateway: Running) -> None:
    await gateway.start(events_burst=1, limits="off")
    ada = await gateway.client("ada")
    assert all([(await ada.call("list_chats", {}))["ok"] for _ in range(5)])


async def test_unanswered_events_of_one_socket_are_bounded(gateway: Running) -> None:
    """A socket that piles up events is refused; what was taken is answered."""
    await gateway.start(events_in_flight=4)
    ada = await gateway.client("ada")
    gateway.bus.answering.clear()
    acks: list[Any] = []
    for _ in range(6):
        await ada.emit("list_chats", {}, callback=acks.append)
    await until(lambda: len(acks) == 2)
    assert {ack["error"]["code"] for ack in acks} == {"rate_limited"}
    gateway.bus.answering.set()
    await until(lambda: len(acks) == 6)
    assert sum(ack["ok"] for ack in acks) == 4


async def test_client_that_never_reads_is_cut_off(gateway: Running) -> None:
    """Its queue is bounded, other clients continue, and no state remains."""
    await gateway.start(outbound_bytes=262_144)
    ada = await gateway.client("ada")
    session = await start_chat(ada)
    async with raw(gateway) as client:
        await client.ack("421" + json.dumps(["join_chat", {"session_id": session["id"]}]), 1)
        client.ws.transport.pause_reading()
        stored = 0
        while gateway.metric("connections_aborted_total", reason="slow") == 0:
            for _ in range(20):
                gateway.bus.store(session["id"], "x" * 15_000)
            stored += 20
            await ada.hears("message", stored)  # she keeps up, so she is spared
            assert stored < 5_000
        await until(lambda: gateway.metric("sockets") == 1)
    await until(lambda: len(gateway.server.eio.sockets) == 1)


async def test_long_polling_has_the_same_rules(running: Running) -> None:
    """Too long a POST, broken UTF-8, binary packets, JSONP, no session."""
    async with httpx2.AsyncClient(base_url=running.url) as http:
        for body, lives in [
            (b"2", True),
            (b"4" + b"x" * connection.FRAME_MAX, False),
            (b"\xff\xfe", False),
            (b"bAAAA", False),
            (b"2\x1e" * 2_000, False),
        ]:
            opened = await http.get("/socket.io/?EIO=4&transport=polling")
            sid = json.loads(opened.text[1:])["sid"]
            answer = await http.post(f"/socket.io/?EIO=4&transport=polling&sid={sid}", content=body)
            assert (answer.status_code == 200) is lives, body[:10]
            assert (sid in running.server.eio.sockets) is lives
        assert (await http.get("/socket.io/?EIO=4&transport=polling&j=0")).status_code == 400
        assert (await http.get("/socket.io/?EIO=4&transport=polling&sid=none")).status_code == 400
        assert (await http.get("/socket.io/?EIO=3&transport=polling")).status_code == 400


async def test_http_routes_and_problem_documents(running: Running) -> None:
    """`GET /`, and problem documents for everything else."""
    async with httpx2.AsyncClient(base_url=running.url) as http:
        root = await http.get("/", headers={"Accept": "application/json"})
        assert root.json().keys() == {"name", "message", "version"}
        assert (root.json()["name"], root.json()["message"]) == ("backchat", "Backchat is running")
        assert (await http.head("/")).status_code == 200
        for method, path, status, code in [
            ("POST", "/", 405, "method_not_allowed"),
            ("DELETE", "/", 405, "method_not_allowed"),
            ("GET", "/nothing", 404, "not_found"),
            ("GET", "/socket.iox", 404, "not_found"),
            ("POST", "/login", 404, "not_found"),
        ]:
            answer = await http.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"
