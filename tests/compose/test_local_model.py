"""The profile `local-model`: a language model that runs on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.compose.operating import Operator, blocks
from tests.support.client import Device, new_account
from tests.support.waiting import until


@pytest.fixture
def with_model(changing: Operator) -> Iterator[Operator]:
    """The stack with the profile, configured by the two `.env` lines of the how-to."""
    lines = blocks("A language model on the server itself")[0].splitlines()
    said = dict(re.findall(r"echo '(\w+)=(\S+)'", "\n".join(lines)))
    try:
        changing.run(lines[-1], **said)
        yield changing
    finally:
        changing.run("docker compose rm --stop --force model", **said)


async def test_reply_of_local_model_is_streamed(with_model: Operator, url: str) -> None:
    account = await new_account(url)
    async with Device(url, account.token) as device:

        async def listed() -> bool:
            return "local" in [bot["id"] for bot in (await device.ok("list_chatbots"))["chatbots"]]

        await until(listed, every=0.2)
        session = await device.start_chat("local")
        reply = await device.reply_to(await device.send(session, "What is the capital of Japan?"))
        pieces = [p for _, p in device.received("message_delta", session=session) if not p["snapshot"]]
    assert (reply["sender_id"], reply["status"]) == ("local", "complete")
    assert "Tokyo" in reply["content"]
    assert len(pieces) > 1
