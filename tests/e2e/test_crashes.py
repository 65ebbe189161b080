"""kill -9, restart and SIGTERM: acked messages are stored once and answered (contract P1, P2, P4, P8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import OWN_KINDS, SEVERAL
from tests.support.client import PATIENCE, Device, log_in, new_account
from tests.support.stack import Stack
from tests.support.waiting import pause

PARTS = {
    "embedded": ["embedded"],
    "distributed": ["auth_service", "persistence_worker", "chatbot_worker", "chat_gateway-1"],
    "composed": [
        "auth_service",
        "persistence_worker",
        "chatbot_worker",
        "chat_gateway",
    ],  # all containers of the service
}
CRASHES = [
    pytest.param(*kind.values, part, id=f"{kind.values[0]}-{part}", marks=kind.marks)
    for kind in OWN_KINDS
    for part in PARTS.get(str(kind.values[0]), ["gateway"])
]


async def answered(device: Device, session: dict[str, Any], last: str) -> list[dict[str, Any]]:
    """Return the history once the message `last` is answered, before or after this device has joined."""
    joined = await device.ok("join_chat", session_id=session["id"], limit=200)

    def is_reply(message: dict[str, Any]) -> bool:
        return message["sender_type"] == "chatbot" and message["reply_to"] == last

    if not any(map(is_reply, joined["messages"])):
        await device.until("message", is_reply)
    return await device.history(session)


def check(history: list[dict[str, Any]], acked: list[str]) -> None:
    """Check that acked messages are stored once, in order, without gaps, and that the last one is answered once."""
    assert [m["seq"] for m in history] == list(range(1, len(history) + 1))
    assert [m["id"] for m in history if m["sender_type"] == "user"] == acked
    assert max(Counter(m["id"] for m in history).values()) == 1
    replies = [m for m in history if m["sender_type"] == "chatbot"]
    assert [m["reply_to"] for m in replies][-1] == acked[-1]
    assert max(Counter(m["reply_to"] for m in replies).values()) == 1
    assert {m["status"] for m in replies} == {"complete"}
    echoed = "\n".join(m["content"] for m in replies).split("\n")
    assert echoed == [m["content"] for m in history if m["sender_type"] == "user"], "answered twice, or not at all"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("own_stack", "name"), CRASHES, indirect=["own_stack"])
async def test_kill_9_after_ack_neither_loses_nor_duplicates_messages(own_stack: Stack, name: str) -> None:
    account = await new_account(own_stack.auth_url)
    async with Device(own_stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        acked = [
            await device.send(session, f"word {n} and some more words", client_message_id=str(n)) for n in range(5)
        ]
        await own_stack.kill9(name)
    await own_stack.restart(name)
    async with Device(own_stack.gateway_urls[-1], account.token) as device:
        again = await device.send(session, "not this", client_message_id="4")
        assert again == acked[-1]
        check(await answered(device, session, acked[-1]), acked)
        acked.append(await device.send(session, "after the crash"))
        check(await answered(device, session, acked[-1]), acked)


@pytest.mark.timeout(120)
async def test_conversation_continues_after_restart_of_all_processes(own_stack: Stack) -> None:
    account = await new_account(own_stack.auth_url)
    async with Device(own_stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(title="Kept")
        await device.reply_to(await device.send(session, "before"))
        before = await device.history(session)
    await own_stack.stop()
    await own_stack.start()
    token = await log_in(own_stack.auth_url, account.id, account.passcode)
    for valid in (account.token, token):  # the signing key is stored, so the old token stays valid
        async with Device(own_stack.gateway_urls[0], valid) as device:
            joined = await device.ok("join_chat", session_id=session["id"])
            assert joined["messages"] == before
            assert joined["session"]["title"] == "Kept"
    async with Device(own_stack.gateway_urls[0], token) as device:
        await device.ok("join_chat", session_id=session["id"])
        reply = await device.reply_to(await device.send(session, "after"))
        assert reply["seq"] == 4


@pytest.mark.timeout(120)
async def test_sigterm_under_load_keeps_all_acked_messages(own_stack: Stack) -> None:
    account = await new_account(own_stack.auth_url)
    device = Device(own_stack.gateway_urls[0], account.token)
    async with device:
        session = await device.start_chat()
        acked: list[str] = []

        async def send_until_closed() -> None:
            for number in range(10_000):
                payload = {"session_id": session["id"], "content": f"{number}", "client_message_id": f"{number}"}
                ack = await device.client.call("send_message", payload, timeout=PATIENCE)
                if ack["ok"]:
                    acked.append(ack["message_id"])
                elif ack["error"]["code"] == "rate_limited":
                    await pause(ack["error"]["retry_after"], "rate limit")

        sending = asyncio.create_task(send_until_closed())
        await device.until_all(lambda: len(acked) >= 20, "20 acks")
        await own_stack.stop()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert any(event == "going_away" for event, _ in device.events)
    assert len(acked) >= 20
    await own_stack.start()
    async with Device(own_stack.gateway_urls[-1], account.token) as device:
        history = await answered(device, session, acked[-1])
    stored = [m["id"] for m in history if m["sender_type"] == "user"]
    assert stored[: len(acked)] == acked, "an acked message is missing"
    assert len(stored) - len(acked) <= 1, "more than one unacked message was stored"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("own_stack", [SEVERAL], indirect=True)
async def test_without_persistence_sends_are_acked_and_reads_are_unavailable(own_stack: Stack) -> None:
    account = await new_account(own_stack.auth_url)
    async with Device(own_stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        await own_stack.kill9("persistence_worker")
        acked = [await device.send(session, f"without persistence {n}") for n in range(3)]
        async with asyncio.timeout(9):  # 6 s (contract P7), and an allowance for a busy machine
            assert await device.error("list_chats", {}) == "unavailable"
        await own_stack.restart("persistence_worker")
        await device.reply_to(acked[-1])
        history = await device.history(session)
    assert [m["id"] for m in history if m["sender_type"] == "user"] == acked


@pytest.mark.timeout(120)
@pytest.mark.parametrize("own_stack", [SEVERAL], indirect=True)
async def test_chats_work_without_auth_service(own_stack: Stack) -> None:
    account = await new_account(own_stack.auth_url)
    async with Device(own_stack.gateway_urls[0], account.token) as device:
        await own_stack.kill9("auth_service")
        session = await device.start_chat()
        await device.reply_to(await device.send(session, "who needs a new token"))
    await own_stack.restart("auth_service")
    async with httpx2.AsyncClient(base_url=own_stack.auth_url) as http:
        me = await http.get("/me", headers={"Authorization": f"Bearer {account.token}"})
    assert me.json()["id"] == account.id
