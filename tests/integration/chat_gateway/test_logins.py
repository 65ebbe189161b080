"""A socket stays open until its login or token ends (contract.md §1.4, §3.1, P5)."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from chat_gateway.identity import revocation
from tests.integration.chat_gateway.conftest import Client, Running
from tests.integration.chat_gateway.raw import raw
from tests.integration.chat_gateway.test_connect import refusal
from tests.support.waiting import block, until

STUBBORN = {"client": {"reconnection": True, "reconnection_delay": 0.01, "reconnection_delay_max": 0.02}}


async def test_expired_token_closes_the_socket_unless_it_was_refreshed(running: Running) -> None:
    """Warned at half of the lifetime, then `auth_expired`, then disconnected; a stock client stays away."""
    ada, bob = await running.client("ada", **STUBBORN), await running.client("bob")
    token, his = (running.issuer.token(user, sid="soon", exp=int(time.time()) + 4) for user in ("ada", "bob"))
    expires_at = (await ada.call("refresh_token", {"token": token}))["expires_at"]
    assert (await bob.call("refresh_token", {"token": his}))["ok"]
    assert not ada.told("token_expiring")
    assert await ada.hears("token_expiring") == [{"expires_at": expires_at}]
    assert await bob.hears("token_expiring")
    ack = await bob.call("refresh_token", {"token": running.issuer.token("bob")})
    assert ack["expires_at"] > expires_at
    assert await ada.hears("auth_expired") == [{}]
    await until(lambda: not ada.connected)
    assert ada.heard[-1][0] == "auth_expired"
    await until(lambda: len(running.server.eio.sockets) == 1)
    assert running.metric("connects_total", code="ok") == 2
    assert running.metric("sockets_dismissed_total", reason="expired") == 1
    assert await refusal(running, {"token": token}) == "token_expired"
    assert (await bob.call("list_chats", {}))["ok"]
    assert not bob.told("auth_expired")


async def test_client_is_warned_a_minute_before_expiry(running: Running) -> None:
    """At once if there is less left than that."""
    old, soon = int(time.time()) - 800, int(time.time()) + 50
    ada = await running.client("ada", token=running.issuer.token("ada", iat=old, nbf=old, exp=soon))
    assert await ada.hears("token_expiring")
    bob = await running.client("bob")
    assert (await bob.call("list_chats", {}))["ok"]
    assert not bob.told("token_expiring")


async def test_refused_token_does_not_change_the_socket(running: Running) -> None:
    ada = await running.client("ada")
    issuer = running.issuer
    issuer.revoke("over")
    await until(lambda: running.metric("revoked_logins") == 1)
    for payload, code in [
        ({"token": issuer.token("bob")}, "forbidden"),
        ({"token": issuer.token("ada", sid="over")}, "forbidden"),
        ({"token": issuer.token("ada", exp=int(time.time()) - 1)}, "forbidden"),
        ({"token": issuer.token("ada") + "x"}, "forbidden"),
        ({"token": "ä.b.c"}, "forbidden"),
        ({"token": ""}, "forbidden"),
        ({"token": 7}, "invalid_request"),
        ({"token": None}, "invalid_request"),
        ({}, "invalid_request"),
    ]:
        ack = await ada.call("refresh_token", payload)
        assert (ack["ok"], ack["error"]["code"]) == (False, code), payload
    assert (await ada.call("start_chat", {}))["session"]["owner_id"] == "ada"
    issuer.revoke("login of ada")
    await until(lambda: not ada.connected)


async def test_revoked_login_loses_its_sockets_and_cannot_connect(running: Running) -> None:
    """All sockets of the login, and no others: not those of another login, nor of another user."""
    issuer = running.issuer
    token = issuer.token("ada")
    gone = [await running.client("ada", token=token, **STUBBORN) for _ in range(2)]
    gone.append(await running.client("ada", token=token, transports=["polling"], **STUBBORN))
    other = await running.client("ada", token=issuer.token("ada", sid="another login"))
    bob = await running.client("bob")
    issuer.revoke("login of ada")
    await until(lambda: not any(client.connected for client in gone))
    assert not any(client.told("auth_expired") for client in gone)
    await until(lambda: running.metric("sockets") == 2)
    assert running.metric("sockets_dismissed_total", reason="revoked") == 3
    assert await refusal(running, {"token": token}) == "unauthenticated"
    assert await refusal(running, {"token": issuer.token("ada")}) == "unauthenticated"
    for client in (other, bob):
        assert (await client.call("list_chats", {}))["ok"]
    await until(lambda: len(running.server.eio.sockets) == 2)
    assert running.metric("connects_total", code="ok") == 5


async def test_older_token_does_not_shorten_the_socket(running: Running) -> None:
    """Of the same login; the ack has the unchanged expiry."""
    now = int(time.time())
    ada = await running.client("ada", token=running.issuer.token("ada", exp=now + 900))
    ready = ada.told("ready")[0]["token_expires_at"]
    ack = await ada.call("refresh_token", {"token": running.issuer.token("ada", exp=now + 50)})
    assert (ack["ok"], ack["expires_at"]) == (True, ready)
    ack = await ada.call("refresh_token", {"token": running.issuer.token("ada", exp=now + 1_000)})
    assert ack["expires_at"] > ready
    assert not ada.told("token_expiring")


async def test_expired_token_is_reported_after_the_clock_was_set_back(running: Running) -> None:
    """The timer follows the time of day and is late; the event is answered by `auth_expired`."""
    ada = await running.client("ada")
    (socket,) = running.server._callbacks._connected_users.all_sockets()
    socket.valid_until = time.monotonic()
    asked = len(running.bus.asked)
    await ada.emit("list_chats", {})
    assert await ada.hears("auth_expired") == [{}]
    await until(lambda: not ada.connected)
    assert len(running.bus.asked) == asked


async def test_refreshed_socket_belongs_to_its_new_login(running: Running) -> None:
    ada = await running.client("ada")
    assert (await ada.call("refresh_token", {"token": running.issuer.token("ada", sid="new")}))["ok"]
    running.issuer.revoke("login of ada")
    await until(lambda: running.metric("revoked_logins") == 1)
    assert (await ada.call("list_chats", {}))["ok"]
    running.issuer.revoke("new")
    await until(lambda: not ada.connected)


async def test_events_of_a_dismissed_client_are_ignored(running: Running) -> None:
    """Its events are ignored; it may connect again as another user."""
    async with raw(running) as client:
        running.issuer.revoke("login of ada")
        await client.hear("41")
        asked = len(running.bus.asked)
        await client.say('421["list_chats",{}]', '40{"token":"' + running.issuer.token("ada") + '"}')
        assert json.loads((await client.hear("44"))[2:])["data"]["code"] == "unauthenticated"
        await client.say('40{"token":"' + running.issuer.token("eve") + '"}')
        await client.hear('42["ready"')
        assert len(running.bus.asked) == asked


async def test_connects_are_unavailable_before_the_first_list(gateway: Running) -> None:
    gateway.issuer.revocations_down = True
    await gateway.start(ready=False)
    await until(lambda: gateway.service.missing() == ["revocations"])
    assert await refusal(gateway, {"token": gateway.issuer.token("ada")}) == "unavailable"
    gateway.issuer.revocations_down = False
    await until(lambda: not gateway.service.missing())
    await gateway.client("ada")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of revocation, shorter; a pause of the test process itself is never one of the gateway."""
    monkeypatch.setattr(revocation, "POLL_EVERY", 0.05)
    monkeypatch.setattr(revocation, "FRESH_FOR", 0.3)


def known(running: Running) -> revocation.Revocation:
    return running.server._callbacks._logins.revocation


async def later(client: Client, event: str) -> asyncio.Task[Any]:
    return asyncio.create_task(client.call(event, {}, timeout=20))


@pytest.mark.usefixtures("hasty")
async def test_events_wait_for_a_fresh_list_and_revoked_ones_are_dropped(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auth hangs while ada logs out: her event is dropped, bob's is handled once the list is fresh."""
    monkeypatch.setattr(revocation, "HOLD_MAX", 30.0)
    ada, bob = await running.client("ada"), await running.client("bob")
    running.issuer.revocations_answering.clear()
    await until(lambda: not known(running).fresh(time.monotonic()))
    asked = len(running.bus.asked)
    hers, his = await later(ada, "list_chats"), await later(bob, "list_chats")
    entering = asyncio.create_task(running.client("zoe"))
    done, _ = await asyncio.wait({hers, his, entering}, timeout=0.5)
    assert not done
    assert len(running.bus.asked) == asked
    running.issuer.revoke("login of ada")
    running.issuer.revocations_answering.set()
    assert (await his)["ok"]
    await entering
    await until(lambda: not ada.connected)
    assert running.bus.asked[asked:] == ["ListSessions"]
    hers.cancel()


@pytest.mark.usefixtures("hasty")
async def test_without_auth_events_continue_and_connects_are_refused(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the last known list; when auth is back, all is as before."""
    monkeypatch.setattr(revocation, "HOLD_MAX", 0.5)
    await gateway.start()
    ada = await gateway.client("ada")
    gateway.issuer.revoke("over")
    await until(lambda: gateway.metric("revoked_logins") == 1)
    gateway.issuer.revocations_down = True
    await until(lambda: not known(gateway).fresh(time.monotonic()))
    assert (await ada.call("list_chats", {}, timeout=20))["ok"]  # held, then done
    assert await refusal(gateway, {"token": gateway.issuer.token("bob")}) == "unavailable"
    for _ in range(3):
        assert (await ada.call("list_chats", {}))["ok"]
    gateway.issuer.revocations_down = False
    assert await refusal(gateway, {"token": gateway.issuer.token("eve", sid="over")}) in (
        "unavailable",
        "unauthenticated",
    )
    asked = gateway.issuer.revocations_asked
    await until(lambda: gateway.issuer.revocations_asked > asked + 1)
    await gateway.client("bob")


async def test_paused_gateway_polls_before_it_handles_events(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events read after a pause wait for an answer that was requested after the pause."""
    monkeypatch.setattr(revocation, "FRESH_FOR", 0.3)
    monkeypatch.setattr(revocation, "STALLED_FOR", 0.5)
    await gateway.start()
    async with raw(gateway) as client:
        asked = len(gateway.bus.asked)
        client.ws.protocol.send_text(b'421["list_chats",{}]')
        client.ws.transport.write(b"".join(client.ws.protocol.data_to_send()))  # sent before the gateway reads
        gateway.issuer.revoke("login of ada")
        block(1, "the process is suspended, as by SIGSTOP")
        await client.hear("41")
        assert len(gateway.bus.asked) == asked
