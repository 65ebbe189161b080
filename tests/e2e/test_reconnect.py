"""Restarts of gateways under load, and joining in the middle of a reply."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import pytest
import socketio

from tests.e2e.conftest import KINDS
from tests.support.client import PATIENCE, Account, Device, new_account
from tests.support.stack import Stack
from tests.support.waiting import pause, until

WORDS = " ".join(f"word{n}" for n in range(16))
CLIENTS, USERS = 200, 20
LONG = 3 * PATIENCE  # seconds, for many clients at once
GATEWAYS = {"embedded", "chat_gateway-1", "chat_gateway"}  # names of the process at the first address of a stack


class Screen:
    """The text of one reply, assembled by the rules of contract.md §3.7."""

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
    """Within a second, on the gateway that has streamed the reply and on another one."""
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
            assert (
                time.monotonic() - begun < 3
            )  # one second, and an allowance for a busy machine; the whole reply takes 6
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


class RetryingClient:
    """A stock client that reconnects automatically and retries each message until it is acked."""

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
            await pause(0.02, "load")
        await self.client.disconnect()

    async def _send(self, client_id: str, number: int, stop: asyncio.Event) -> None:
        payload = {"session_id": self.session, "content": str(number), "client_message_id": client_id}
        while not stop.is_set():
            try:
                ack = await self.client.call("send_message", payload, timeout=3)
            except (socketio.exceptions.SocketIOError, TypeError):  # disconnected: outcome unknown, so retry
                self.unknown += 1
                await pause(0.1, "backoff of the client")
                continue
            if ack["ok"]:
                self.acked.append(ack["message_id"])
                return
            self.refused.append(ack["error"]["code"])
            await pause(min(0.5, ack["error"].get("retry_after", 0.5)), "backoff of the client")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("own_stack", KINDS[-1:], indirect=True)  # on the composed stack: tests/compose/test_upgrade.py
async def test_rolling_restart_of_gateways_loses_no_acked_message(own_stack: Stack) -> None:
    """Each gateway ends with code 0 in time, and clients reconnect automatically."""
    account = await new_account(own_stack.auth_url)
    urls = own_stack.gateway_urls
    async with Device(urls[0], account.token) as device:
        sessions = [(await device.start_chat())["id"] for _ in range(40)]
    clients = [RetryingClient(urls[n % 2], account.token, session) for n, session in enumerate(sessions)]
    stop = asyncio.Event()
    running = [asyncio.create_task(client.run(stop)) for client in clients]
    await until(lambda: all(len(client.acked) >= 3 for client in clients), LONG)
    for name in ("chat_gateway-1", "chat_gateway-2"):
        before = [len(client.acked) for client in clients]
        await own_stack.restart(name)
        await until(lambda before=before: all(len(c.acked) > n + 2 for c, n in zip(clients, before, strict=True)), LONG)
    stop.set()
    await asyncio.gather(*running)
    assert all(client.connects >= 2 for client in clients)
    assert {code for client in clients for code in client.refused} <= {"unavailable", "rate_limited"}
    async with Device(urls[0], account.token) as device:
        for client, session in zip(clients, sessions, strict=True):
            await _stored(device, session, client.acked)


@pytest.mark.timeout(180)
async def test_sigterm_with_two_hundred_sending_clients_loses_no_acked_message(own_stack: Stack) -> None:
    """The process ends with code 0 within 10 s; otherwise `restart` raises."""
    url = own_stack.gateway_urls[0]
    accounts = await asyncio.gather(*(new_account(own_stack.auth_url) for _ in range(USERS)))
    clients = {account.id: await _retrying_clients(url, account) for account in accounts}
    everyone = [client for each in clients.values() for client in each]
    stop = asyncio.Event()
    running = [asyncio.create_task(client.run(stop)) for client in everyone]
    await until(lambda: sum(bool(client.acked) for client in everyone) >= 190, LONG)
    await own_stack.restart(next(name for name in own_stack.names if name in GATEWAYS))
    await until(lambda: all(client.connects >= 2 for client in everyone), LONG)
    stop.set()
    await asyncio.gather(*running)
    for account in accounts:
        mine = clients[account.id]
        async with Device(url, account.token) as device:
            await _stored(device, mine[0].session, [message for client in mine for message in client.acked])


async def _retrying_clients(url: str, account: Account) -> list[RetryingClient]:
    """Clients of one user in one session, few enough for the event budget of the user."""
    async with Device(url, account.token) as device:
        session = (await device.start_chat(reply_policy="silent"))["id"]
    return [RetryingClient(url, account.token, session) for _ in range(CLIENTS // USERS)]


async def _stored(device: Device, session: str, acked: list[str]) -> None:
    """Wait until each acked message is stored, and check that none is stored twice."""
    stored: list[str] = []

    async def complete() -> bool:
        history = await device.history({"id": session})
        stored[:] = [message["id"] for message in history if message["sender_type"] == "user"]
        assert set(acked) <= set(stored), f"{len(set(acked) - set(stored))} acked messages are missing"
        return True

    await until(complete, PATIENCE)
    assert len(stored) == len(set(stored))
