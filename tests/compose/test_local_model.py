"""The profile `local-model`: a language model that writes its replies on this machine."""

from __future__ import annotations

import asyncio

from tests.compose.operating import Operator
from tests.support.client import Device, new_account

VARIABLES = {"COMPOSE_PROFILES": "local-model", "BACKCHAT_CHATBOTS": "local-model.toml"}


async def test_the_model_s_reply_streams(changing: Operator, url: str) -> None:
    await asyncio.to_thread(changing.run, "docker compose up --build --detach --wait", **VARIABLES)
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
    await asyncio.to_thread(changing.run, "docker compose rm --stop --force model", **VARIABLES)
