"""What a newcomer meets: one process, no key, no network, and a real language model that answers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from chatbot_worker.kinds import local
from tests.support.client import PATIENCE, Device, new_account
from tests.support.stack import EmbeddedStack
from tests.support.waiting import until

pytestmark = [
    pytest.mark.skipif(local.lacking() is not None, reason=f"no local language model here: {local.lacking()}"),
    pytest.mark.timeout(240),
]


def models(stack: EmbeddedStack) -> list[psutil.Process]:
    """The processes of language models."""
    child = stack.parts["embedded"].child
    assert child
    return [each for each in psutil.Process(child.pid).children() if "server.py" in " ".join(each.cmdline())]


async def listed(device: Device) -> list[tuple[str, bool]]:
    """The chatbots, and which is the default one."""
    return [(bot["id"], bot["default"]) for bot in (await device.ok("list_chatbots"))["chatbots"]]


async def answered(device: Device, message_id: str) -> dict[str, Any]:
    """The reply, with as much patience as a model needs on a machine with better things to do."""
    for _ in range(3):
        with suppress(AssertionError):
            return await device.reply_to(message_id)
    return await device.reply_to(message_id)


async def test_the_default_chatbot_is_a_language_model_and_streams(tmp_path: Path) -> None:
    """Pieces come before the message; nothing is left when the system has stopped, and `off` takes it away."""
    stack = EmbeddedStack(tmp_path, {"LOCAL_MODEL": "on"})
    try:
        await stack.start()
        account = await new_account(stack.auth_url)
        async with Device(stack.gateway_urls[0], account.token) as device:
            session = await device.start_chat("local")
            assert await listed(device) == [("local", True), ("eliza", False), ("echo", False)]
            reply = await answered(device, await device.send(session, "What is the capital of France?"))
            deltas = device.received("message_delta", session=session)
        assert (reply["status"], reply["sender_id"]) == ("complete", "local")
        assert len(deltas) > 1
        assert all(delta["message_id"] == reply["id"] for _, delta in deltas)
        [model] = models(stack)
        await stack.stop()
        await until(lambda: not model.is_running())

        stack.settings["LOCAL_MODEL"] = "off"
        await stack.start()
        async with Device(stack.gateway_urls[0], account.token) as device:

            async def announced() -> bool:
                return await listed(device) == [("eliza", True), ("echo", False)]

            await until(announced, PATIENCE, every=0.1)  # the previous list is valid until then
        assert models(stack) == []
        await stack.stop()
    finally:
        stack.close()
