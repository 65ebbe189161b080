"""Revocation (contract.md §1.4, P5): a logout closes open sockets on every gateway, also without the broker."""

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
from tests.support.waiting import until

Record = Callable[[str, object], None]

PROMISED = 2.0  # seconds (contract.md §1.4)
ATTEMPTS = 4  # one must be in time; a loaded machine causes additional delays


async def call(stack: Stack, method: str, path: str, token: str, body: Any = None) -> int:
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        answer = await http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def refused_soon(url: str, token: str) -> None:
    """Wait until a gateway refuses the token: each gateway polls revocations twice a second."""

    async def refused() -> Refused | None:
        try:
            async with Device(url, token):
                return None
        except Refused as refusal:
            return refusal

    assert (await until(refused, PATIENCE, every=0.05)).code == "unauthenticated"


async def disconnected(*devices: Device) -> None:
    """Wait until all devices are disconnected."""
    await until(lambda: not any(device.client.connected for device in devices), PATIENCE)


async def seconds(awaitable: Awaitable[Any]) -> float:
    """Return the duration of an awaitable."""
    begun = time.monotonic()
    await awaitable
    return time.monotonic() - begun


async def in_time(attempt: Callable[[], Awaitable[float]]) -> float:
    """Return the seconds of the first attempt within the limit; fail if there is none."""
    took = []
    for _ in range(ATTEMPTS):
        took.append(await attempt())
        if took[-1] <= PROMISED:
            return took[-1]
    pytest.fail(f"took {took} s")


def figure(name: str, took: float) -> Figure:
    return Figure(name, f"every socket closed after {took:.2f} s", f"{PROMISED:g} s", reached=took <= PROMISED)


async def test_logout_closes_sockets_of_that_login_only(stack: Stack, account: Account) -> None:
    """Its token is refused by every gateway, and sockets of other logins stay open."""
    first, last = stack.gateway_urls[0], stack.gateway_urls[-1]
    lost = await log_in(stack.auth_url, account.id, account.passcode)
    async with Device(first, account.token) as kept, Device(first, lost) as a, Device(last, lost) as b:
        assert await call(stack, "POST", "/logout", lost) == 204
        await disconnected(a, b)
        assert not any(event == "auth_expired" for event, _ in a.events + b.events)
        for url in (first, last):  # behind an edge this may be another gateway
            await refused_soon(url, lost)
        assert await kept.error("refresh_token", {"token": lost}) == "forbidden"
        assert (await kept.ok("list_chats"))["sessions"] == []
    assert await call(stack, "GET", "/me", lost) == 401


async def three_devices(stack: Stack, open_ones: AsyncExitStack) -> tuple[str, list[Device]]:
    """Connect three devices of a new account, each with a separate login; returns a token of the account and the devices."""
    account = await new_account(stack.auth_url)
    tokens = [account.token, *[await log_in(stack.auth_url, account.id, account.passcode) for _ in range(2)]]
    urls = [stack.gateway_urls[0], stack.gateway_urls[-1], stack.gateway_urls[-1]]
    pairs = zip(urls, tokens, strict=True)
    return tokens[0], [await open_ones.enter_async_context(Device(url, token)) for url, token in pairs]


async def test_logout_all_closes_every_socket_within_two_seconds(stack: Stack, record_property: Record) -> None:
    """Three devices on two gateways, one `POST /logout/all`."""

    async def attempt() -> float:
        async with AsyncExitStack() as open_ones:
            token, devices = await three_devices(stack, open_ones)
            assert await call(stack, "POST", "/logout/all", token) == 204
            return await seconds(disconnected(*devices))

    took = await in_time(attempt)
    on = f"{len(set(stack.gateway_urls))} gateways" if len(set(stack.gateway_urls)) > 1 else "embedded"
    record_property("figure", str(figure(f"revocation, {on}", took)))


async def test_deleted_account_loses_its_sockets(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[-1], account.token) as device:
        assert await call(stack, "DELETE", "/me", account.token, {"passcode": account.passcode}) == 204
        await disconnected(device)
    await refused_soon(stack.gateway_urls[0], account.token)


async def test_changed_passcode_ends_all_other_logins(stack: Stack, account: Account) -> None:
    other = await log_in(stack.auth_url, account.id, account.passcode)
    async with Device(stack.gateway_urls[0], account.token) as own, Device(stack.gateway_urls[-1], other) as device:
        body = {"current_passcode": account.passcode, "new_passcode": account.passcode + " and more"}
        assert await call(stack, "PUT", "/me/passcode", account.token, body) == 204
        await disconnected(device)
        assert (await own.ok("list_chats"))["sessions"] == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("own_stack", [DISTRIBUTED], indirect=True)
async def test_revocation_works_without_broker_and_on_a_paused_gateway(
    own_stack: Stack, rabbitmq: RabbitMQ, record_property: Record
) -> None:
    """As fast as with a broker; an event that a revoked client sent to a paused gateway is not processed."""
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
            return await seconds(disconnected(*devices))

        rabbitmq.kill()
        try:
            record_property("figure", str(figure("revocation, 2 gateways, RabbitMQ killed", await in_time(attempt))))
            paused.pause()
            await b.client.emit("send_message", {"session_id": session["id"], "content": "after"})
            assert await call(own_stack, "POST", "/logout/all", account.token) == 204
            at_once = await seconds(disconnected(a))
        finally:
            await asyncio.to_thread(rabbitmq.start)
            paused.resume()
        resumed = await seconds(disconnected(b, c))
    print(f"without a broker {at_once:.2f} s, after a pause {resumed:.2f} s")  # noqa: T201 - for failures
    await own_stack.start()  # returns when every process is ready
    token = await log_in(own_stack.auth_url, account.id, account.passcode)
    async with Device(first, token) as device:
        await device.ok("join_chat", session_id=session["id"])
        await device.reply_to(await device.send(session, "the last word"))
        said = [message["content"] for message in await device.history(session) if message["sender_type"] == "user"]
        assert said == ["before", "the last word"]
