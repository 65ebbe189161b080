"""Concurrent requests: no user is admitted twice, or stays after a logout (ASVS 15.4.2)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx2
import pytest

from tests.support.client import PATIENCE, Account, Device, Refused, log_in, new_account
from tests.support.stack import Stack
from tests.support.waiting import pause, until

AT_ONCE = 12


@pytest.fixture(scope="module")
def crowd(stack: Stack) -> list[Account]:
    async def register() -> list[Account]:
        return [await new_account(stack.auth_url) for _ in range(6)]

    return asyncio.run(register())


async def test_connects_during_a_logout_do_not_stay(stack: Stack, crowd: list[Account]) -> None:
    """Connects and refreshed tokens against the logout of the same login: in the end none of them is inside."""
    account = crowd[0]
    token = await log_in(stack.auth_url, account.id, account.passcode)
    devices = [Device(stack.gateway_urls[0], token) for _ in range(AT_ONCE)]
    kept = Device(stack.gateway_urls[0], account.token)

    async def enter(device: Device, after: float) -> None:
        await pause(after, "connects are spread over the logout")
        try:
            await device.__aenter__()
        except Refused as error:
            assert error.data["data"]["code"] == "unauthenticated"

    async def leave() -> None:
        async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
            answer = await http.post("/logout", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 204

    async with kept:
        switching = asyncio.create_task(kept.call("refresh_token", {"token": token}))
        await asyncio.gather(leave(), *(enter(device, n * 0.05) for n, device in enumerate(devices)))
        switched = (await switching)["ok"]  # if the token was refused, the socket keeps its login
        leaving = [*devices, kept] if switched else devices
        await until(lambda: not any(device.client.connected for device in leaving), PATIENCE)
        assert kept.client.connected is not switched


async def test_invite_for_one_admits_one(stack: Stack, crowd: list[Account]) -> None:
    async with contextlib.AsyncExitStack() as open_ones:
        devices = [await open_ones.enter_async_context(Device(stack.gateway_urls[0], a.token)) for a in crowd]
        owner, guests = devices[0], devices[1:]
        session = await owner.start_chat("echo")
        invite = (await owner.ok("create_invite", session_id=session["id"], max_uses=1))["invite"]
        answers = await asyncio.gather(*(guest.call("accept_invite", {"invite": invite}) for guest in guests))
        assert sorted(answer["ok"] for answer in answers) == [*[False] * (len(guests) - 1), True]
        assert {answer["error"]["code"] for answer in answers if not answer["ok"]} == {"not_found"}
        joined = (await owner.ok("join_chat", session_id=session["id"]))["session"]["users"]
        assert len(joined) == 2


async def test_deletion_during_messages_leaves_nothing(stack: Stack, crowd: list[Account]) -> None:
    """Acked messages that are not stored are rejected; afterwards the session is not found."""
    async with (
        Device(stack.gateway_urls[0], crowd[0].token) as ada,
        Device(stack.gateway_urls[0], crowd[1].token) as bob,
    ):
        session = await ada.start_chat("echo")
        invite = (await ada.ok("create_invite", session_id=session["id"]))["invite"]
        await bob.ok("accept_invite", invite=invite)

        async def send(device: Device, n: int) -> dict[str, Any]:
            return await device.call("send_message", {"session_id": session["id"], "content": f"{n}"})

        sends = [send(device, n) for n in range(AT_ONCE) for device in (ada, bob)]
        deletions = [ada.call("delete_chat", {"session_id": session["id"]}) for _ in range(3)]
        answers = await asyncio.gather(*sends[:AT_ONCE], *deletions, *sends[AT_ONCE:])
        assert any(answer["ok"] for answer in answers[AT_ONCE : AT_ONCE + 3])
        await bob.until("session_deleted", lambda gone: gone["session_id"] == session["id"])
        for device in (ada, bob):
            for event in ("join_chat", "get_messages"):
                assert await device.error(event, {"session_id": session["id"]}) == "not_found"
            assert (await send(device, 99))["error"]["code"] == "not_found"
        codes = {answer["error"]["code"] for answer in answers if not answer["ok"]}
        assert codes <= {"not_found"}
