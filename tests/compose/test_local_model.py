"""The profile `local-model`: a language model that writes its replies on this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from tests.compose.operating import Operator, blocks
from tests.support.client import Device, new_account


@pytest.fixture
def with_model(changing: Operator) -> Iterator[Operator]:
    """The stack with the profile, by the two lines that the how-to puts into `.env`."""
    lines = blocks("A language model on the server itself")[0].splitlines()
    said = dict(re.findall(r"echo '(\w+)=(\S+)'", "\n".join(lines)))
    try:
        changing.run(lines[-1], **said)
        yield changing
    finally:
        changing.run("docker compose rm --stop --force model", **said)


async def test_the_model_s_reply_streams(with_model: Operator, url: str) -> None:
    account = await new_account(url)
    async with Device(url, account.token) as device:
        async with asyncio.timeout(20):
            while "local" not in [bot["id"] for bot in (await device.ok("list_chatbots"))["chatbots"]]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        session = await device.start_chat("local")
        reply = await device.reply_to(await device.send(session, "What is the capital of Japan?"))
        pieces = [p for _, p in device.received("message_delta", session=session) if not p["snapshot"]]
    assert (reply["sender_id"], reply["status"]) == ("local", "complete")
    assert "Tokyo" in reply["content"]
    assert len(pieces) > 1
