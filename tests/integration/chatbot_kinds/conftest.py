"""A worker in the test's hands, and a server for it to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.contracts.commands import FinishReply
from shared.contracts.topology import turn_queue
from tests.integration.chatbot_worker.conftest import Start, body, bus, start, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.support.model_server import Wire, serving
from tests.support.waiting import until

__all__ = ["bus", "start"]

Ask = Callable[..., Awaitable[FinishReply]]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A server; a test gives it its script."""
    async with serving() as wire:
        yield wire


@pytest.fixture
async def ask(bus: FakeBus, start: Start, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Starts a worker with one chatbot `bot` and has it answer; what the log is given as its reply."""
    monkeypatch.setattr("chatbot_worker.turns.execution.RETRY_PAUSE", 0.01)
    running: list[object] = []

    async def asking(toml: str, content: str = "hello") -> FinishReply:
        if not running:
            running.append(await start(f'[[chatbots]]\nid = "bot"\nname = "Bot"\n{toml}'))
        asked = turn(content, chatbot_id="bot")
        bus.deliver(turn_queue("bot").name, body(asked))
        await until(lambda: any(f.message_id == asked.message_id for f in bus.finished()))
        [finished] = [f for f in bus.finished() if f.message_id == asked.message_id]
        return finished

    return asking
