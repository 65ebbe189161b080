"""Every turn ends, also if its worker is killed or its chatbot hangs (contract P1, P2, P4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import Device, new_account
from tests.support.stack import EmbeddedStack, Stack

WORDS = " ".join(f"word{n}" for n in range(20))  # two seconds of `slow`
ATTEMPTS = 5  # to kill the worker before the reply has ended


def deltas(device: Device) -> list[dict[str, Any]]:
    return [payload for event, payload in device.events if event == "message_delta"]


def assembled(received: list[dict[str, Any]]) -> str:
    """Assemble the text by the rules of the contract; a higher attempt starts it again."""
    attempt, text = 0, ""
    for delta in received:
        if delta["attempt"] < attempt:
            continue
        if delta["attempt"] > attempt:
            attempt, text = delta["attempt"], ""
        if delta["snapshot"]:
            text = delta["text"]
        elif delta["offset"] == len(text):
            text += delta["text"]
    return text


async def killed_in_mid_stream(
    stack: Stack, device: Device, victim: str
) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """Kill a process during a reply; returns the session, the message and the received deltas of its reply."""
    for _ in range(ATTEMPTS):
        async with device:
            session = await device.start_chat("slow")
            asked = await device.send(session, WORDS)
            await device.until("message_delta", lambda delta, of=session: bool(delta["session_id"] == of["id"]))
            await stack.kill9(victim)
        await stack.start()
        seen = [delta for delta in deltas(device) if delta["session_id"] == session["id"]]
        if not device.received("message", session=session)[1:]:
            return session, asked, seen
    pytest.fail("the reply ended before the kill in every attempt")


@pytest.mark.timeout(300)
async def test_reply_is_completed_after_its_worker_is_killed(slow_stack: Stack) -> None:
    """A higher attempt starts the text again, and the reply is stored once."""
    victim = "embedded" if isinstance(slow_stack, EmbeddedStack) else "chatbot_worker"
    account = await new_account(slow_stack.auth_url)
    first = Device(slow_stack.gateway_urls[0], account.token)
    session, asked, before = await killed_in_mid_stream(slow_stack, first, victim)
    assert len({delta["attempt"] for delta in before}) == 1
    async with Device(slow_stack.gateway_urls[-1], account.token) as device:
        joined = await device.ok("join_chat", session_id=session["id"])
        history = joined["messages"]
        if len(history) == 1:
            reply = await device.reply_to(asked)
            again = deltas(device)
            assert {delta["message_id"] for delta in again} <= {reply["id"]}
            assert min((delta["attempt"] for delta in again), default=before[0]["attempt"] + 1) > before[0]["attempt"]
            assert WORDS.startswith(assembled(again))
        history = await device.history(session)
        assert [m["id"] for m in history] == [asked, before[0]["message_id"]]
        assert (history[1]["content"], history[1]["status"], history[1]["error"]) == (WORDS, "complete", None)
        await device.reply_to(await device.send(session, "and so on"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("chatbot", "words"), [("hanging", "one two"), ("endless", "one two three four")])
async def test_reply_over_its_time_limit_ends_as_failed(slow_stack: Stack, chatbot: str, words: str) -> None:
    """With an error text and the partial reply; the next message is answered afterwards, and ends the same way."""
    account = await new_account(slow_stack.auth_url)
    async with Device(slow_stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(chatbot)
        asked = await device.send(session, words)
        await device.until("message_delta")
        queued = await device.send(session, words)
        for message in (asked, queued):
            reply = await device.reply_to(message)
            assert (reply["status"], reply["error"]["code"]) == ("failed", "timeout")
            assert reply["error"]["message"]
            assert words.startswith(reply["content"])
            assert len(reply["content"]) < len(words)
        joined = await device.ok("join_chat", session_id=session["id"])
        assert joined["active_replies"] == []
        assert [m["seq"] for m in joined["messages"]] == [1, 2, 3, 4]
