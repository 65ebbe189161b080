"""An upgrade by the how-to's commands, while people with the client kit go on chatting."""

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

PEOPLE = 16
PAUSE = 0.5  # seconds between somebody's messages
SETTLING = 90.0  # seconds until everything is answered, on a machine that is busy
NEXT_IMAGE = "backchat-next:latest"


class Chatter:
    """Writes all the time, and keeps what the kit makes of it."""

    def __init__(self, url: str, account: Account) -> None:
        self.account = account
        self.client = BackchatClient(url, user_id=account.id, passcode=account.passcode)
        self.session: SessionState | None = None
        self.written: list[str] = []
        self.waits: list[float] = []  # seconds from a message to its acceptance
        self.failures: list[str] = []
        self.breaks = 0
        self.client.listen(self._told)

    async def chat(self, stop: asyncio.Event) -> None:
        """Write until told to stop, then wait until everything is answered."""
        self.session = await self.client.start_chat("Upgrade", chatbot_ids=["echo"], timeout=SETTLING)
        async with asyncio.TaskGroup() as waiting:
            while not stop.is_set():
                waiting.create_task(self._write(f"{self.account.id} {len(self.written)}"))
                await asyncio.sleep(PAUSE)

    async def _write(self, text: str) -> None:
        assert self.session
        self.written.append(text)
        began = time.monotonic()
        sending = await self.client.send(self.session.id, text)
        await asyncio.wait_for(sending.stored(), SETTLING)
        self.waits.append(time.monotonic() - began)

    def _told(self, notice: object) -> None:
        name = getattr(notice, "name", "")
        if name in ("failed", "stopped", "closed"):
            self.failures.append(repr(notice))
        self.breaks += name == "disconnected"


@asynccontextmanager
async def chatting(url: str) -> AsyncIterator[list[Chatter]]:
    """People who chat while the block runs; at its end everything they have written has been accepted."""
    people = [Chatter(url, await new_account(url)) for _ in range(PEOPLE)]
    stop = asyncio.Event()
    for person in people:
        person.client.start()
    try:
        async with asyncio.TaskGroup() as writing:
            for person in people:
                writing.create_task(person.chat(stop))
            try:
                yield people
            finally:
                stop.set()
    finally:
        await asyncio.gather(*(person.client.close() for person in people))


async def test_nobody_notices_an_upgrade(changing: Operator, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(changing.versions().values())
    async with chatting(url) as people:
        await asyncio.sleep(3)
        began = time.monotonic()
        for block in blocks("Upgrade"):
            script = "\n".join(line for line in block.splitlines() if not line.startswith("git "))
            await asyncio.to_thread(changing.run, script, BACKCHAT_IMAGE=NEXT_IMAGE)
        took = time.monotonic() - began
        await asyncio.sleep(3)
    assert NEXT_IMAGE in set(changing.versions().values()) - before
    waits = sorted(wait for person in people for wait in person.waits)
    with capsys.disabled():
        print(  # noqa: T201
            f"\nbackchat: upgraded under load in {took:.0f} s: {len(waits)} messages of {PEOPLE} people, 0 failed; "
            f"stored after {statistics.median(waits):.2f} s (p50), {waits[int(len(waits) * 0.99)]:.1f} s (p99), "
            f"{waits[-1]:.1f} s at most; {sum(person.breaks for person in people)} reconnects"
        )
    assert [failure for person in people for failure in person.failures] == []
    for person in people:
        messages = await history(url, person)
        mine = [message for message in messages if message["sender_type"] == "user"]
        assert [message["content"] for message in mine] == person.written, "each once, in order"
        answers = [message for message in messages if message["sender_type"] == "chatbot"]
        echoed = [line for answer in answers for line in answer["content"].splitlines()]
        assert echoed == person.written, "each answered once, in order"


async def history(url: str, person: Chatter) -> list[dict[str, Any]]:
    """Every message, once the last one is answered: a reply answers all that was said before it."""
    assert person.session
    async with Device(url, person.account.token) as device, asyncio.timeout(SETTLING):
        while True:
            messages = await device.history({"id": person.session.id})
            last = next(message for message in reversed(messages) if message["sender_type"] == "user")
            if any(message["reply_to"] == last["id"] for message in messages):
                return messages
            await asyncio.sleep(0.5)
