"""Stops and returns as clients live them: rolling restarts under load, and joining in the middle of a reply."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import Any

import pytest
import socketio

from tests.e2e.conftest import KINDS
from tests.support.client import PATIENCE, Account, Device, new_account
from tests.support.stack import Stack

WORDS = " ".join(f"word{n}" for n in range(16))
CLIENTS, PEOPLE = 200, 20
GATEWAYS = {"embedded", "chat_gateway-1", "chat_gateway"}  # what a stack calls that which its first address leads to


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
async def test_device_joining_mid_reply_gets_text_so_far_and_the_rest(slow_stack: Stack, gateway: int) -> None:
    """On the gateway that has streamed it all, and on one that knows nothing of it: within a second, then exactly."""
    account = await new_account(slow_stack.auth_url)
    async with Device(slow_stack.gateway_urls[0], account.token) as first:
        session = await first.start_chat("slower")
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
        self.session = session
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
        payload = {"session_id": self.session, "content": str(number), "client_message_id": client_id}
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
@pytest.mark.parametrize("own_stack", KINDS[-1:], indirect=True)  # on the composed stack: tests/compose/test_upgrade.py
async def test_rolling_restart_of_gateways_loses_no_acked_message(own_stack: Stack) -> None:
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
async def test_sigterm_with_two_hundred_sending_clients_loses_no_acked_message(own_stack: Stack) -> None:
    """200 of them: exit code 0 in under 10 s (or `restart` raises), and what was acked is there afterwards."""
    url = own_stack.gateway_urls[0]
    accounts = await asyncio.gather(*(new_account(own_stack.auth_url) for _ in range(PEOPLE)))
    clients = {account.id: await _persistent(url, account) for account in accounts}
    everybody = [client for each in clients.values() for client in each]
    stop = asyncio.Event()
    running = [asyncio.create_task(client.run(stop)) for client in everybody]
    await _until(lambda: sum(bool(client.acked) for client in everybody) >= 190)
    await own_stack.restart(next(name for name in own_stack.names if name in GATEWAYS))
    await _until(lambda: all(client.connects >= 2 for client in everybody))
    stop.set()
    await asyncio.gather(*running)
    for account in accounts:
        mine = clients[account.id]
        async with Device(url, account.token) as device:
            await _stored(device, mine[0].session, [message for client in mine for message in client.acked])


async def _persistent(url: str, account: Account) -> list[Persistent]:
    """Clients of one user in one session: few enough to stay within the user's budget of events."""
    async with Device(url, account.token) as device:
        session = (await device.start_chat(reply_policy="silent"))["id"]
    return [Persistent(url, account.token, session) for _ in range(CLIENTS // PEOPLE)]


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
