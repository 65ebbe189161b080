"""A worker on a bus that a test holds in its hands."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from chatbot_worker.app import build
from chatbot_worker.chatbots.protocol import Kind, Options
from chatbot_worker.kinds.registry import KINDS
from chatbot_worker.settings import ChatbotSettings
from shared.contracts.envelope import Event, join
from shared.contracts.events import ContextWanted
from shared.contracts.turns import ContextMessage, RunTurn
from shared.runtime.service import Service
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import Scripted
from tests.support.waiting import until

Start = Callable[[str], Awaitable[Service]]


def turn(content: str = "hello", *, chatbot_id: str = "echo", starts: int = 0, again: bool = False) -> RunTurn:
    """A turn with one unanswered message."""
    question = ContextMessage(id=uuid4(), sender_type="user", sender_id="ada", content=content, unanswered=True)
    return RunTurn(
        session_id=uuid4(),
        message_id=uuid4(),
        chatbot_id=chatbot_id,
        reply_to=question.id,
        starts=starts,
        again=again,
        context=[question],
    )


def body(*turns: RunTurn) -> bytes:
    """Turns as they travel."""
    return join(Event("test", each, str(each.session_id)).encode() for each in turns)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A chatbot of the kind `scripted`."""
    chatbot = Scripted()
    kind = Kind(Options, lambda _: chatbot, immediate=False, context=ContextWanted(messages=9, bytes=9), concurrency=4)
    monkeypatch.setattr("chatbot_worker.catalogue.loading.KINDS", ChainMap({"scripted": kind}, KINDS))
    monkeypatch.setattr("chatbot_worker.turns.execution.RETRY_PAUSE", 0.01)
    return chatbot


@pytest.fixture
async def start(bus: FakeBus, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a worker with the chatbots of a TOML text; it has stopped when the test ends."""
    async with AsyncExitStack() as stack:

        async def begin(toml: str) -> Service:
            path = tmp_path / "chatbots.toml"
            path.write_text(toml)
            service = build(ChatbotSettings(chatbots=path), bus=bus, registry=CollectorRegistry())
            tasks = await stack.enter_async_context(service.lifespan())
            stack.callback(lambda: _died(tasks.failed))
            expected = 1 + toml.count("[[chatbots]]")  # the queue of stops, and each chatbot's own
            await until(lambda: len(bus.subscriptions) == expected)
            return service

        yield begin


def _died(failed: asyncio.Future[BaseException]) -> None:
    if failed.done():
        raise AssertionError("a task of the worker died") from failed.result()
