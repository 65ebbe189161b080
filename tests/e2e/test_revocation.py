"""Leaving means leaving (contract §1, P5): a logout reaches open sockets on every gateway, whatever is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import DISTRIBUTED
from tests.support.client import PATIENCE, Account, Device, Refused, log_in, new_account
from tests.support.figures import Figure
from tests.support.rabbitmq import RabbitMQ
from tests.support.stack import Stack

Record = Callable[[str, object], None]

PROMISED = 2.0  # seconds (contract §1)
ATTEMPTS = 4  # of which one has to keep it: a loaded test machine has pauses that are not ours


async def call(stack: Stack, method: str, path: str, token: str, body: Any = None) -> int:
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        answer = await http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def refused_soon(url: str, token: str) -> None:
    """Also by a gateway that has cut nobody off: each one asks on its own, twice a second."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Refused) as refused:
            while True:
                async with Device(url, token):
                    await asyncio.sleep(0.05)
    assert refused.value.code == "unauthenticated"


async def gone(*devices: Device) -> None:
    """Until all of them are disconnected."""
    async with asyncio.timeout(PATIENCE):
        while any(device.client.connected for device in devices):  # noqa: ASYNC110 - what the client knows
            await asyncio.sleep(0.01)


async def seconds(happens: Awaitable[Any]) -> float:
    begun = time.monotonic()
    await happens
    return time.monotonic() - begun


async def in_time(attempt: Callable[[], Awaitable[float]]) -> float:
    """One attempt takes no longer than promised: how many seconds."""
    took = []
    for _ in range(ATTEMPTS):
        took.append(await attempt())
        if took[-1] <= PROMISED:
            return took[-1]
    pytest.fail(f"took {took} s")


def figure(name: str, took: float) -> Figure:
    return Figure(name, f"every socket closed after {took:.2f} s", f"{PROMISED:g} s", reached=took <= PROMISED)


async def test_logout_closes_sockets_of_that_login_only(stack: Stack, account: Account) -> None:
    """Its sockets are disconnected, its token is refused everywhere; the user's other devices do not notice."""
    first, last = stack.gateway_urls[0], stack.gateway_urls[-1]
    lost = await log_in(stack.auth_url, account.id, account.passcode)
    async with Device(first, account.token) as kept, Device(first, lost) as a, Device(last, lost) as b:
        assert await call(stack, "POST", "/logout", lost) == 204
        await gone(a, b)
        assert not any(event == "auth_expired" for event, _ in a.events + b.events)
        for url in (first, last):  # soon: behind an edge it may be yet another gateway
            await refused_soon(url, lost)
        assert await kept.error("refresh_token", {"token": lost}) == "forbidden"
        assert (await kept.ok("list_chats"))["sessions"] == []
    assert await call(stack, "GET", "/me", lost) == 401


async def three_devices(stack: Stack, open_ones: AsyncExitStack) -> tuple[str, list[Device]]:
    """Of somebody new, each with a login of its own, on two gateways if there are two; and a token to log out by."""
    account = await new_account(stack.auth_url)
    tokens = [account.token, *[await log_in(stack.auth_url, account.id, account.passcode) for _ in range(2)]]
    urls = [stack.gateway_urls[0], stack.gateway_urls[-1], stack.gateway_urls[-1]]
    pairs = zip(urls, tokens, strict=True)
    return tokens[0], [await open_ones.enter_async_context(Device(url, token)) for url, token in pairs]


async def test_logout_all_closes_every_socket_within_two_seconds(stack: Stack, record_property: Record) -> None:
    """Two gateways, three devices, one `POST /logout/all`."""

    async def attempt() -> float:
        async with AsyncExitStack() as open_ones:
            token, devices = await three_devices(stack, open_ones)
            assert await call(stack, "POST", "/logout/all", token) == 204
            return await seconds(gone(*devices))

    took = await in_time(attempt)
    on = f"{len(set(stack.gateway_urls))} gateways" if len(set(stack.gateway_urls)) > 1 else "embedded"
    record_property("figure", str(figure(f"revocation, {on}", took)))


async def test_deleted_account_loses_its_sockets(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[-1], account.token) as device:
        assert await call(stack, "DELETE", "/me", account.token, {"passcode": account.passcode}) == 204
        await gone(device)
    await refused_soon(stack.gateway_urls[0], account.token)


async def test_changed_passcode_ends_all_other_logins(stack: Stack, account: Account) -> None:
    other = await log_in(stack.auth_url, account.id, account.passcode)
    async with Device(stack.gateway_urls[0], account.token) as own, Device(stack.gateway_urls[-1], other) as device:
        body = {"current_passcode": account.passcode, "new_passcode": account.passcode + " and more"}
        assert await call(stack, "PUT", "/me/passcode", account.token, body) == 204
        await gone(device)
        assert (await own.ok("list_chats"))["sessions"] == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("own_stack", [DISTRIBUTED], indirect=True)
async def test_revocation_works_without_broker_and_on_a_paused_gateway(
    own_stack: Stack, rabbitmq: RabbitMQ, record_property: Record
) -> None:
    """Revocation needs no broker, and is as quick; what a revoked client said to a paused gateway is never done."""
    account = await new_account(own_stack.auth_url)
    first, second = own_stack.gateway_urls
    paused = own_stack.parts["chat_gateway-2"].child
    assert paused
    async with (
        Device(first, account.token) as a,
        Device(second, account.token) as b,
        Device(second, account.token) as c,
        AsyncExitStack() as open_ones,
    ):
        others = [await three_devices(own_stack, open_ones) for _ in range(ATTEMPTS)]
        session = await b.start_chat()
        await b.reply_to(await b.send(session, "before"))

        async def attempt() -> float:
            token, devices = others.pop()
            assert await call(own_stack, "POST", "/logout/all", token) == 204
            return await seconds(gone(*devices))

        rabbitmq.kill()
        try:
            record_property("figure", str(figure("revocation, 2 gateways, RabbitMQ killed", await in_time(attempt))))
            paused.pause()
            await b.client.emit("send_message", {"session_id": session["id"], "content": "after"})
            assert await call(own_stack, "POST", "/logout/all", account.token) == 204
            at_once = await seconds(gone(a))
        finally:
            await asyncio.to_thread(rabbitmq.start)
            paused.resume()
        woken = await seconds(gone(b, c))
    print(f"without a broker {at_once:.2f} s, after a pause {woken:.2f} s")  # noqa: T201 - shown when it fails
    await own_stack.start()  # nothing, but it returns when every process is ready again
    token = await log_in(own_stack.auth_url, account.id, account.passcode)
    async with Device(first, token) as device:
        await device.ok("join_chat", session_id=session["id"])
        await device.reply_to(await device.send(session, "the last word"))
        said = [message["content"] for message in await device.history(session) if message["sender_type"] == "user"]
        assert said == ["before", "the last word"]
