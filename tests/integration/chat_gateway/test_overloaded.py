"""Overload: clients that keep sending are read more slowly, those that wait are not, and all are answered."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import httpx2
import pytest

from chat_gateway.events import calls, message_publisher
from chat_gateway.sockets import caller
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.raw import Raw, raw
from tests.support.waiting import pause, until

TAKEN = 4  # messages that the log takes, and does not confirm
AT_ONCE = 8  # refusals
ANSWERS = 25  # a second, and that many at once
EVENTS = 110  # sent by the persistent client
LASTS = (EVENTS - AT_ONCE - 2 * ANSWERS) / ANSWERS  # seconds, at the least


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_publisher, "CONGESTED_MIN", TAKEN)
    monkeypatch.setattr(message_publisher, "PUBLISH_LAG_MAX", 0.1)
    monkeypatch.setattr(caller, "OVERLOAD_BURST", float(AT_ONCE))
    monkeypatch.setattr(calls, "OVERLOAD_REFUSALS_PER_SECOND", float(ANSWERS))


async def overload(gateway: Running) -> str:
    """The log takes nothing more; a session of eve's and ada's, in which it is so."""
    await gateway.start()
    eve = await gateway.client("eve")
    session = (await start_chat(eve))["id"]
    gateway.bus.publishing.clear()
    for _ in range(TAKEN):
        await eve.emit("send_message", {"session_id": session, "content": "x"})
    await until(lambda: len(gateway.bus.sent) == TAKEN)
    await until(gateway.events._publisher._congested)
    return str(session)


def message(session: str, ack_id: int) -> str:
    return f'42{ack_id}["send_message",{{"session_id":"{session}","content":"x"}}]'


def is_refused(ack: dict[str, Any]) -> bool:
    return not ack["ok"] and ack["error"]["code"] == "unavailable" and 0 < ack["error"]["retry_after"] <= 1.5


def held_for(gateway: Running, user: str) -> float:
    """Seconds in which nothing was read from that user's sockets, because there was no time."""
    present = [connection.socket for connection in gateway.server.connections]
    return float(sum(socket.refusals.held for socket in present if socket.user_id == user))


async def ack_of(client: Raw, ack_id: int) -> dict[str, Any]:
    ack: dict[str, Any] = json.loads((await client.hear(f"43{ack_id}["))[len(f"43{ack_id}") :])[0]
    return ack


async def test_persistent_client_waits_for_its_refusals_and_others_do_not(gateway: Running) -> None:
    """Each message of eve is refused in order; ada is not affected."""
    session = await overload(gateway)
    async with raw(gateway, "eve") as eve, raw(gateway, "ada") as ada:
        begun = time.monotonic()
        await eve.say(*(message(session, n) for n in range(1, EVENTS + 1)))
        await until(lambda: held_for(gateway, "eve") > 0)
        assert is_refused(await ada.ack(message(session, 1), 1))
        assert (await ada.ack('422["list_chats",{}]', 2))["ok"]
        acks = [await ack_of(eve, n) for n in range(1, EVENTS + 1)]
        assert all(map(is_refused, acks))
        assert time.monotonic() - begun >= LASTS
        assert held_for(gateway, "eve") >= LASTS
        assert held_for(gateway, "ada") == 0.0
        gateway.bus.publishing.set()
        await until(lambda: not gateway.events._publisher._congested())
        await pause(acks[-1]["error"]["retry_after"], "the client obeys `retry_after`")
        again = EVENTS + 1
        assert (await eve.ack(message(session, again), again))["ok"]
    assert len(gateway.bus.sent) == TAKEN + 1


async def test_long_polling_is_not_refused_faster(gateway: Running) -> None:
    """A concurrent second POST does not help: its events are taken after those of the first one."""
    session = await overload(gateway)
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=20) as http:
        path = "/socket.io/?EIO=4&transport=polling"
        path += "&sid=" + json.loads((await http.get(path)).text[1:])["sid"]
        await http.post(path, content=f'40{{"token":"{gateway.issuer.token("eve")}"}}')
        heard = ""
        while '42["ready"' not in heard:
            heard += (await http.get(path)).text
        begun = time.monotonic()
        texts = [message(session, n) for n in range(1, EVENTS + 1)]
        half = EVENTS // 2
        first = asyncio.create_task(http.post(path, content="\x1e".join(texts[:half])))
        heard = (await http.get(path)).text
        second = asyncio.create_task(http.post(path, content="\x1e".join(texts[half:])))
        acks = re.compile(r"43(\d+)(\[.*?\])(?:\x1e|$)")
        answered = acks.findall(heard)
        while len(answered) < EVENTS:
            answered += acks.findall((await http.get(path)).text)
        assert [(await post).status_code for post in (first, second)] == [200, 200]
    assert time.monotonic() - begun >= LASTS
    assert [int(ack_id) for ack_id, _ in answered] == list(range(1, EVENTS + 1))
    assert all(is_refused(json.loads(ack)[0]) for _, ack in answered)
