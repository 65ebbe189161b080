"""The commands of `docs/how-to/run-on-a-server.md` do what is said there."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

from tests.compose.operating import Operator, blocks
from tests.support.client import Account, Device, log_in, new_account

DEVICES = 8  # that come at a time
PATIENCE = 60.0  # seconds


async def chat(url: str, account: Account, content: str, session: dict[str, str] | None = None) -> dict[str, str]:
    """Say something to the echo, in a new session or in that one, and have its answer."""
    async with Device(url, account.token) as device:
        session = session or await device.start_chat("echo")
        await device.ok("join_chat", session_id=session["id"])
        reply = await device.reply_to(await device.send(session, content))
        assert reply["content"] == content
        return session


async def history(url: str, account: Account, session: dict[str, str]) -> list[str]:
    """Every message, as its author and its text."""
    async with Device(url, account.token) as device:
        return [f"{m['sender_id']}: {m['content']}" for m in await device.history(session)]


async def test_scaled_gateways_share_the_sockets(changing: Operator, url: str) -> None:
    """Every gateway gets its part of those who come, as soon as the edge has heard of it."""
    await asyncio.to_thread(changing.run, blocks("Scale")[0])
    gateways = changing.containers("chat_gateway")
    assert len(gateways) == 4
    account = await new_account(url)
    sockets = [0.0] * 4
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as connected:
        while not all(sockets):
            for _ in range(DEVICES):
                await connected.enter_async_context(Device(url, account.token))
            sockets = await asyncio.gather(*(asyncio.to_thread(open_sockets, changing, each) for each in gateways))


def open_sockets(operator: Operator, gateway: str) -> float:
    """How many a gateway says that it has."""
    shown = re.findall(r"^backchat_gateway_sockets(?:{.*})? (\S+)$", operator.metrics(gateway), re.MULTILINE)
    return float(shown[0])


async def test_what_was_backed_up_is_there_on_a_new_machine(changing: Operator, url: str) -> None:
    account = await new_account(url)
    session = await chat(url, account, "before")
    before = await history(url, account, session)
    backup, restore = blocks("Backup and restore")
    await asyncio.to_thread(changing.run, backup)
    await asyncio.to_thread(changing.run, blocks("Start over")[0])
    assert not changing.states(), "nothing of it runs any more"
    assert not changing.docker(
        "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={changing.name}"
    )
    await asyncio.to_thread(changing.run, restore)
    assert await history(url, account, session) == before, "the keys are the same, so the token still is one"
    again = Account(account.id, account.passcode, await log_in(url, account.id, account.passcode))
    await chat(url, again, "after", session)
    assert await history(url, again, session) == [*before, f"{account.id}: after", "echo: after"]
