"""Stops and returns as clients live them: rolling restarts under load, and joining in the middle of a reply."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.conftest import Fresh
from tests.e2e.conftest import DISTRIBUTED, KINDS
from tests.support.client import PATIENCE, Device, new_account
from tests.support.stack import DistributedStack, EmbeddedStack, Stack

WORDS = " ".join(f"word{n}" for n in range(16))
SLOW_ECHO = """
[[chatbots]]
id = "slow"
name = "Slow"
description = "Speaks two words a second."
kind = "echo"
default = true
[chatbots.options]
delay = 0.4
"""


@pytest.fixture(params=KINDS)
def slow_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """A stack whose chatbot takes its time."""
    chatbots = tmp_path / "chatbots.toml"
    chatbots.write_text(SLOW_ECHO)
    settings = {"CHATBOTS": str(chatbots)}
    if request.param == "embedded":
        yield from _running(EmbeddedStack(tmp_path, settings))
        return
    new_database: Fresh = request.getfixturevalue("new_database")
    new_vhost: Fresh = request.getfixturevalue("new_vhost")
    with new_database() as postgresql_url, new_vhost() as amqp_url:
        yield from _running(
            DistributedStack(tmp_path, postgresql_url=postgresql_url, amqp_url=amqp_url, settings=settings)
        )


def _running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start_now()
        yield stack
        stack.stop_now()
    finally:
        stack.close()


class Screen:
    """The text of one reply, put together as contract §3 tells a client to."""

    def __init__(self, text: str = "", attempt: int = 0) -> None:
        self.text = text
        self.attempt = attempt

    def apply(self, delta: dict[str, Any]) -> None:
        if delta["attempt"] < self.attempt:
            return
        if delta["attempt"] > self.attempt:
            self.attempt, self.text = delta["attempt"], ""
        if delta["snapshot"]:
            self.text = delta["text"]
        elif delta["offset"] == len(self.text):
            self.text += delta["text"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("gateway", [0, -1], ids=["seen", "unseen"])
async def test_who_comes_in_the_middle_sees_the_text_so_far_and_then_the_end(slow_stack: Stack, gateway: int) -> None:
    """On the gateway that has streamed it all, and on one that knows nothing of it: within a second, then exactly."""
    account = await new_account(slow_stack.auth_url)
    async with Device(slow_stack.gateway_urls[0], account.token) as first:
        session = await first.start_chat("slow")
        question = await first.send(session, WORDS)
        await first.until("message_delta", lambda delta: delta["offset"] > 15)
        async with Device(slow_stack.gateway_urls[gateway], account.token) as late:
            begun = time.monotonic()
            joined = await late.ok("join_chat", session_id=session["id"])
            [active] = joined["active_replies"]
            screen = Screen(active["text"], active["attempt"])
            seen_before = next(d for name, d in first.events if name == "message_delta")
            if not screen.text:
                await late.until("message_delta", lambda delta: delta["snapshot"] or not delta["offset"])
            for name, delta in late.events:
                if name == "message_delta":
                    screen.apply(delta)
            assert time.monotonic() - begun < 3  # the second, and a busy machine; the whole reply takes 6
            assert screen.text.startswith(seen_before["text"])
            assert len(screen.text) > 15
            reply = await late.reply_to(question)
            shown = Screen(active["text"], active["attempt"])
            for name, payload in late.events:
                if name == "message_delta":
                    shown.apply(payload)
                    assert reply["content"].startswith(shown.text)
            assert shown.text == reply["content"] == WORDS
            assert [m["id"] for m in await late.history(session)] == [question, reply["id"]]


class Persistent:
    """A stock client that reconnects by itself and sends one message after the other, again until it is acked."""

    def __init__(self, url: str, token: str, session: str) -> None:
        self.acked: list[str] = []
        self.refused: list[str] = []
        self.unknown = 0
        self.connects = 0
        self._url = url
        self._token = token
        self._session = session
        self.client = socketio.AsyncClient(
            reconnection=True, reconnection_delay=0.2, reconnection_delay_max=1, handle_sigint=False
        )
        self.client.on("ready", self._ready)

    async def _ready(self, _: Any) -> None:
        self.connects += 1

    async def run(self, stop: asyncio.Event) -> None:
        await self.client.connect(self._url, auth={"token": self._token}, transports=["websocket"], retry=True)
        number = 0
        while not stop.is_set():
            number += 1
            await self._send(f"{secrets.token_hex(4)}-{number}", number, stop)
            await asyncio.sleep(0.02)
        await self.client.disconnect()

    async def _send(self, client_id: str, number: int, stop: asyncio.Event) -> None:
        payload = {"session_id": self._session, "content": str(number), "client_message_id": client_id}
        while not stop.is_set():
            try:
                ack = await self.client.call("send_message", payload, timeout=3)
            except (socketio.exceptions.SocketIOError, TypeError):  # away, or gone in the middle: unknown, so again
                self.unknown += 1
                await asyncio.sleep(0.1)
                continue
            if ack["ok"]:
                self.acked.append(ack["message_id"])
                return
            self.refused.append(ack["error"]["code"])
            await asyncio.sleep(min(0.5, ack["error"].get("retry_after", 0.5)))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("own_stack", [DISTRIBUTED], indirect=True)
async def test_a_rolling_restart_of_the_gateways_loses_nothing(own_stack: Stack) -> None:
    """One after the other, under load: each ends with exit code 0 in time, clients come back by themselves."""
    account = await new_account(own_stack.auth_url)
    urls = own_stack.gateway_urls
    async with Device(urls[0], account.token) as device:
        sessions = [(await device.start_chat())["id"] for _ in range(40)]
    clients = [Persistent(urls[n % 2], account.token, session) for n, session in enumerate(sessions)]
    stop = asyncio.Event()
    running = [asyncio.create_task(client.run(stop)) for client in clients]
    await _until(lambda: all(len(client.acked) >= 3 for client in clients))
    for name in ("chat_gateway-1", "chat_gateway-2"):
        before = [len(client.acked) for client in clients]
        await own_stack.restart(name)
        await _until(lambda before=before: all(len(c.acked) > n + 2 for c, n in zip(clients, before, strict=True)))
    stop.set()
    await asyncio.gather(*running)
    assert all(client.connects >= 2 for client in clients)
    assert {code for client in clients for code in client.refused} <= {"unavailable", "rate_limited"}
    async with Device(urls[0], account.token) as device:
        for client, session in zip(clients, sessions, strict=True):
            await _stored(device, session, client.acked)


@pytest.mark.timeout(180)
async def test_sigterm_with_many_clients_amid_sends(own_stack: Stack) -> None:
    """200 of them: exit code 0 in under 10 s (or `restart` raises), and what was acked is there afterwards."""
    account = await new_account(own_stack.auth_url)
    url = own_stack.gateway_urls[0]
    async with Device(url, account.token) as device:
        session = (await device.start_chat())["id"]
    clients = [Persistent(url, account.token, session) for _ in range(200)]
    stop = asyncio.Event()
    running = [asyncio.create_task(client.run(stop)) for client in clients]
    await _until(lambda: sum(bool(client.acked) for client in clients) >= 190)
    await own_stack.restart(next(name for name in own_stack.names if name in {"embedded", "chat_gateway-1"}))
    await _until(lambda: all(client.connects >= 2 for client in clients))
    stop.set()
    await asyncio.gather(*running)
    async with Device(url, account.token) as device:
        await _stored(device, session, [message for client in clients for message in client.acked])


async def _until(holds: Any) -> None:
    async with asyncio.timeout(3 * PATIENCE):
        while not holds():  # noqa: ASYNC110 - many clients, one question
            await asyncio.sleep(0.05)


async def _stored(device: Device, session: str, acked: list[str]) -> None:
    """Each acked message is there, once, as soon as persistence has come to it."""
    stored: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not set(acked) <= set(stored):
                history = await device.history({"id": session})
                stored = [message["id"] for message in history if message["sender_type"] == "user"]
    assert set(acked) <= set(stored), f"{len(set(acked) - set(stored))} acked messages are missing"
    assert len(stored) == len(set(stored))
