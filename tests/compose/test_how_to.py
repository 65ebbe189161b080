"""The commands of `docs/how-to/run-on-a-server.md` have the documented effect."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

from tests.compose.operating import Operator, blocks
from tests.support.client import Account, Device, log_in, new_account
from tests.support.waiting import until

DEVICES = 8  # that connect between two checks
PATIENCE = 60.0  # seconds


async def chat(url: str, account: Account, content: str, session: dict[str, str] | None = None) -> dict[str, str]:
    """Send a message to the echo chatbot, in a new or the given session, and wait for its reply."""
    async with Device(url, account.token) as device:
        session = session or await device.start_chat("echo")
        await device.ok("join_chat", session_id=session["id"])
        reply = await device.reply_to(await device.send(session, content))
        assert reply["content"] == content
        return session


async def history(url: str, account: Account, session: dict[str, str]) -> list[str]:
    """Return all messages, each as sender and text."""
    async with Device(url, account.token) as device:
        return [f"{m['sender_id']}: {m['content']}" for m in await device.history(session)]


async def test_scaled_gateways_share_new_sockets(changing: Operator, url: str) -> None:
    """The edge distributes connections to new gateways as soon as it resolves their addresses."""
    await asyncio.to_thread(changing.run, blocks("Scale")[0])
    gateways = changing.containers("chat_gateway")
    assert len(gateways) == 4
    account = await new_account(url)
    async with AsyncExitStack() as connected:

        async def all_have_sockets() -> bool:
            for _ in range(DEVICES):
                await connected.enter_async_context(Device(url, account.token))
            return all(await asyncio.gather(*(asyncio.to_thread(open_sockets, changing, each) for each in gateways)))

        await until(all_have_sockets, PATIENCE)


def open_sockets(operator: Operator, gateway: str) -> float:
    """Return the number of sockets in the metrics of a gateway."""
    shown = re.findall(r"^backchat_gateway_sockets(?:{.*})? (\S+)$", operator.metrics(gateway), re.MULTILINE)
    return float(shown[0])


async def test_backup_is_restored_on_an_empty_stack(changing: Operator, url: str) -> None:
    account = await new_account(url)
    session = await chat(url, account, "before")
    before = await history(url, account, session)
    backup, restore = blocks("Backup and restore")
    await asyncio.to_thread(changing.run, backup)
    await asyncio.to_thread(changing.run, blocks("Start over")[0])
    assert not changing.states(), "containers remain"
    assert not changing.docker(
        "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={changing.name}"
    )
    await asyncio.to_thread(changing.run, restore)
    assert await history(url, account, session) == before, "the token is valid, since the keys were restored"
    again = Account(account.id, account.passcode, await log_in(url, account.id, account.passcode))
    await chat(url, again, "after", session)
    assert await history(url, again, session) == [*before, f"{account.id}: after", "echo: after"]
