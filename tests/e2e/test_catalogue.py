"""Changes of the chatbot file while users chat: reloaded on SIGHUP, or when the change is detected."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import STACK_URL
from tests.support.client import Device, new_account
from tests.support.stack import EmbeddedStack, Stack, running_stack
from tests.support.waiting import until

SLOW = '[[chatbots]]\nid = "slow"\nname = "Slow"\nkind = "echo"\noptions = {delay = 0.1}\n'
QUICK = '[[chatbots]]\nid = "quick"\nname = "Quick"\nkind = "echo"\noptions = {delay = 0}\n'
WORDS = " ".join(f"word{n}" for n in range(20))  # two seconds of `slow`


@pytest.fixture
def chatbots(tmp_path: Path) -> Path:
    path = tmp_path / "chatbots.toml"
    path.write_text(SLOW)
    return path


@pytest.fixture
def own(tmp_path: Path, chatbots: Path) -> Iterator[Stack]:
    if STACK_URL:
        pytest.skip("looks into processes: not on a given stack")
    with running_stack(EmbeddedStack(tmp_path, {"CHATBOTS": str(chatbots)})) as embedded:
        yield embedded


def put(path: Path, text: str) -> None:
    path.write_text(text)


async def listed(device: Device, names: list[str]) -> None:
    """Wait until the chatbots have these names."""

    async def found() -> bool:
        return [chatbot["name"] for chatbot in (await device.ok("list_chatbots"))["chatbots"]] == names

    await until(found, 60, every=0.1)


@pytest.mark.timeout(240)
async def test_catalogue_is_reloaded_on_sighup_and_on_file_change(own: Stack, chatbots: Path) -> None:
    """SIGHUP reloads at once; an invalid file changes nothing; a streaming reply is completed."""
    account = await new_account(own.auth_url)
    async with Device(own.gateway_urls[0], account.token) as device:
        session = await device.start_chat("slow")
        asked = await device.send(session, WORDS)
        await device.until("message_delta", lambda delta: bool(delta["text"]))
        put(chatbots, SLOW + QUICK)
        child = own.parts["embedded"].child
        assert child is not None
        child.signal(signal.SIGHUP)
        await listed(device, ["Slow", "Quick"])
        quick = await device.start_chat("quick")
        assert (await device.reply_to(await device.send(quick, "hello")))["content"] == "hello"
        reply = await device.reply_to(asked)
        assert (reply["status"], reply["content"]) == ("complete", WORDS)
        put(chatbots, SLOW + QUICK + "colour = 3\n")
        put(chatbots, QUICK.replace('"Quick"', '"Quicker"'))
        await listed(device, ["Quicker"])
        assert (await device.reply_to(await device.send(quick, "again")))["content"] == "again"
        gone = await device.reply_to(await device.send(session, "are you there?"))
        assert gone["status"] == "failed"
        assert gone["error"]["code"] == "chatbot_unavailable"
