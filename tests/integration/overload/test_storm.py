"""A gateway with hundreds of clients crashes: another one admits them, and its clients continue."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import websockets

from tests.integration.overload.test_slow_clients import latencies
from tests.integration.overload.wire import Wire
from tests.support.client import Account, Device, new_account
from tests.support.stack import DistributedStack, Stack
from tests.support.waiting import pause

pytestmark = [pytest.mark.overload, pytest.mark.timeout(300)]

CLIENTS = 400  # of the crashing gateway
USERS = 40
JITTER = 2.0  # seconds within which clients reconnect at random, as after `going_away`
PAUSE = 0.03  # seconds: within a user's budget
BACK_WITHIN = 30.0  # seconds until the last one has read what it missed


@pytest.fixture
async def stack(tmp_path: Path, postgresql_url: str, amqp_url: str) -> AsyncIterator[Stack]:
    stack = DistributedStack(
        tmp_path, postgresql_url=postgresql_url, amqp_url=amqp_url, settings={"LOG_LEVEL": "warning"}
    )
    try:
        yield await stack.start()
        stack.stop_now()
    finally:
        stack.close()


async def entered(url: str, token: str, session: str, after_seq: int | None) -> tuple[Wire, list[int]]:
    """A socket that has joined, and the numbers that it missed; tries again like any client while it is refused."""
    while True:
        with suppress(OSError, TimeoutError, websockets.InvalidStatus, websockets.ConnectionClosed):
            wire = await Wire.open(url, token)
            ack = await wire.call("join_chat", {"session_id": session, "after_seq": after_seq})
            if ack["ok"]:
                return wire, [message["seq"] for message in ack["messages"]]
            await wire.close()
            assert ack["error"]["code"] in {"unavailable", "rate_limited"}, ack
        await pause(random.uniform(0.5, JITTER), "the client's delay before it reconnects")


async def test_clients_of_a_crashed_gateway_reconnect_to_another_one(stack: Stack) -> None:
    """Each reads exactly the changes it missed; existing clients are not delayed."""
    accounts = [await new_account(stack.auth_url) for _ in range(USERS)]
    doomed, surviving = stack.gateway_urls
    chats = [await chat_of(surviving, account) for account in accounts]
    places = [(accounts[n % USERS].token, chats[n % USERS]) for n in range(CLIENTS)]
    before = [(await entered(doomed, token, session, 1))[0] for token, session in places]
    good = await Wire.open(surviving, accounts[0].token)
    alone = await latencies(good, chats[0], 200, PAUSE)
    await stack.kill9("chat_gateway-1")
    for account, chat in zip(accounts[1:], chats[1:], strict=True):  # what they miss
        async with Device(surviving, account.token) as device:
            await device.send({"id": chat}, "while you were away")
    begun = time.monotonic()
    took: list[float] = []

    async def back(token: str, session: str) -> tuple[Wire, list[int]]:
        await pause(random.uniform(0, JITTER), "the client's delay before it reconnects")
        tried = time.monotonic()
        came = await entered(surviving, token, session, 1)
        took.append(time.monotonic() - tried)
        return came

    returning = asyncio.gather(*(back(*place) for place in places))
    beside: list[float] = []
    while not returning.done():
        beside += await latencies(good, chats[0], 20, PAUSE)
    returned = await returning
    lasted = time.monotonic() - begun
    took.sort()
    print(  # noqa: T201
        f"{CLIENTS} back in {lasted:.1f} s, each p50 {took[len(took) // 2]:.2f} s, max {took[-1]:.2f} s; "
        f"the others' p99 {1000 * p99(alone):.0f} ms before, {1000 * p99(beside):.0f} ms meanwhile"
    )
    for (_, missed), (_, session) in zip(returned, places, strict=True):
        assert session == chats[0] or missed == [2]
    assert lasted < BACK_WITHIN
    assert p99(beside) < 1.0  # seconds
    await asyncio.gather(*(wire.close() for wire in (*before, good, *(wire for wire, _ in returned))))


async def chat_of(url: str, account: Account) -> str:
    """Create a silent session with one message."""
    async with Device(url, account.token) as device:
        session = await device.start_chat(reply_policy="silent", client_request_id=secrets.token_hex(8))
        sent = await device.send(session, "first")
        await device.until("message", lambda message: message["id"] == sent)
    return str(session["id"])


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]
