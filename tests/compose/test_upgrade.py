"""An upgrade by the commands of the how-to while users chat with the client kit."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backchat_client import BackchatClient, SessionState
from tests.compose.operating import Operator, blocks
from tests.support.client import Account, Device, new_account
from tests.support.waiting import pause, until

USERS = 16
PAUSE = 0.5  # seconds between two messages of a user
WARM = 3.0  # seconds of load before and after the upgrade
ANSWERED_WITHIN = 90.0  # seconds, on a busy machine
NEXT_IMAGE = "backchat-next:latest"


class Chatter:
    """Sends messages all the time, and collects the outcomes that the kit reports."""

    def __init__(self, url: str, account: Account) -> None:
        self.account = account
        self.client = BackchatClient(url, user_id=account.id, passcode=account.passcode)
        self.session: SessionState | None = None
        self.written: list[str] = []
        self.waits: list[float] = []  # seconds from a message to its acceptance
        self.failures: list[str] = []
        self.breaks = 0
        self.client.listen(self._notified)

    async def chat(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, then wait until every message is stored."""
        self.session = await self.client.start_chat("Upgrade", chatbot_ids=["echo"], timeout=ANSWERED_WITHIN)
        async with asyncio.TaskGroup() as waiting:
            while not stop.is_set():
                waiting.create_task(self._write(f"{self.account.id} {len(self.written)}"))
                await pause(PAUSE, "load")

    async def _write(self, text: str) -> None:
        assert self.session
        self.written.append(text)
        began = time.monotonic()
        sending = await self.client.send(self.session.id, text)
        await asyncio.wait_for(sending.stored(), ANSWERED_WITHIN)
        self.waits.append(time.monotonic() - began)

    def _notified(self, notice: object) -> None:
        name = getattr(notice, "name", "")
        if name in ("failed", "stopped", "closed"):
            self.failures.append(repr(notice))
        self.breaks += name == "disconnected"


@asynccontextmanager
async def chatting(url: str) -> AsyncIterator[list[Chatter]]:
    """Run users for the time of the block; at its end every message has been stored."""
    users = [Chatter(url, await new_account(url)) for _ in range(USERS)]
    stop = asyncio.Event()
    for user in users:
        user.client.start()
    try:
        async with asyncio.TaskGroup() as writing:
            for user in users:
                writing.create_task(user.chat(stop))
            try:
                yield users
            finally:
                stop.set()
    finally:
        await asyncio.gather(*(user.client.close() for user in users))


async def test_upgrade_under_load_fails_no_message(
    changing: Operator, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(changing.versions().values())
    async with chatting(url) as users:
        await pause(WARM, "load")
        began = time.monotonic()
        for block in blocks("Upgrade"):
            script = "\n".join(line for line in block.splitlines() if not line.startswith("git "))
            await asyncio.to_thread(changing.run, script, BACKCHAT_IMAGE=NEXT_IMAGE)
        took = time.monotonic() - began
        await pause(WARM, "load")
    assert NEXT_IMAGE in set(changing.versions().values()) - before
    waits = sorted(wait for user in users for wait in user.waits)
    with capsys.disabled():
        print(  # noqa: T201
            f"\nbackchat: upgraded under load in {took:.0f} s: {len(waits)} messages of {USERS} users, 0 failed; "
            f"stored after {statistics.median(waits):.2f} s (p50), {waits[int(len(waits) * 0.99)]:.1f} s (p99), "
            f"{waits[-1]:.1f} s at most; {sum(user.breaks for user in users)} reconnects"
        )
    assert [failure for user in users for failure in user.failures] == []
    for user in users:
        messages = await history(url, user)
        mine = [message for message in messages if message["sender_type"] == "user"]
        assert [message["content"] for message in mine] == user.written, "each once, in order"
        answers = [message for message in messages if message["sender_type"] == "chatbot"]
        echoed = [line for answer in answers for line in answer["content"].splitlines()]
        assert echoed == user.written, "each answered once, in order"


async def history(url: str, user: Chatter) -> list[dict[str, Any]]:
    """Return all messages, once the last one is answered; a reply answers all messages before it."""
    assert user.session
    session = {"id": user.session.id}
    async with Device(url, user.account.token) as device:

        async def answered() -> list[dict[str, Any]]:
            messages = await device.history(session)
            last = next(message for message in reversed(messages) if message["sender_type"] == "user")
            return messages if any(message["reply_to"] == last["id"] for message in messages) else []

        return await until(answered, ANSWERED_WITHIN, every=0.5)
