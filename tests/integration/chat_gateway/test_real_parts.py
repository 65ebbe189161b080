"""The gateway with real services in one process: in-process bus, persistence on SQLite, chatbots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import chatbot_worker.app
import persistence_worker.app
from chatbot_worker.settings import ChatbotSettings
from persistence_worker.settings import PersistenceSettings
from shared.bus.in_process import InProcessBus
from shared.database.engine import open_engine, sqlite_url
from tests.integration.chat_gateway.conftest import Issuer, Running, start_chat
from tests.support.waiting import until


class Parts:
    """Persistence and the chatbots, on a bus that outlives them."""

    def __init__(self, bus: InProcessBus, path: Path) -> None:
        self.bus = bus
        self.path = path

    async def start(self, stack: AsyncExitStack) -> None:
        engine = open_engine(sqlite_url(self.path / "chat.db"), schema="chat")
        stack.push_async_callback(engine.dispose)
        await persistence_worker.app.migrate(engine)
        registry = CollectorRegistry()
        persistence = persistence_worker.app.build(
            PersistenceSettings(), bus=self.bus, engine=engine, registry=registry
        )
        chatbots = chatbot_worker.app.build(ChatbotSettings(local_model="off"), bus=self.bus, registry=registry)
        for service in (persistence, chatbots):
            await stack.enter_async_context(service.lifespan())


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def parts(stack: AsyncExitStack, tmp_path: Path) -> Parts:
    return Parts(await stack.enter_async_context(InProcessBus(tmp_path / "bus.db")), tmp_path)


async def test_complete_turn(stack: AsyncExitStack, parts: Parts) -> None:
    """Sent, stored, streamed and answered; a second device sees the same numbers; the list has the session."""
    await parts.start(stack)
    running = Running(parts.bus, Issuer(), stack)  # type: ignore[arg-type]
    await running.start()
    ada, phone = await running.client("ada"), await running.client("ada")
    await until(lambda: ada.connected)
    session = await _start(ada, chatbot_ids=["echo"])
    ack = await ada.call("send_message", {"session_id": session["id"], "content": "good morning to you"})
    question, answer = await ada.hears("message", 2)
    assert question["id"] == ack["message_id"]
    assert (question["seq"], answer["seq"], answer["reply_to"]) == (1, 2, question["id"])
    text = ""
    for delta in ada.told("message_delta"):
        assert (delta["offset"], delta["message_id"]) == (len(text), answer["id"])
        text += delta["text"]
    assert text == answer["content"] == "good morning to you"
    await until(lambda: any(view["title"] for view in ada.told("session_updated")))
    joined = await phone.call("join_chat", {"session_id": session["id"], "after_seq": 1})
    assert [message["id"] for message in joined["messages"]] == [answer["id"]]
    assert joined["session"]["title"]
    await phone.call("send_message", {"session_id": session["id"], "content": "again"})
    assert [m["content"] for m in await ada.hears("message", 4)] == [m["content"] for m in (question, answer)] + [
        "again"
    ] * 2
    assert [m["seq"] for m in ada.told("message")] == [1, 2, 4, 5]  # 3 is the title


async def test_joined_session_accepts_messages_while_persistence_is_down(stack: AsyncExitStack, parts: Parts) -> None:
    """P7: accepted, and stored and answered when it is back; what has to be read says `unavailable` in time."""
    running = Running(parts.bus, Issuer(), stack)  # type: ignore[arg-type]
    async with AsyncExitStack() as neighbours:
        await parts.start(neighbours)
        await running.start()
        ada = await running.client("ada")
        session = await _start(ada, chatbot_ids=["echo"])
    payload = {"session_id": session["id"], "content": "are you there?", "client_message_id": "once"}
    for _ in range(2):
        assert (await ada.call("send_message", payload))["ok"]
    refused = await ada.call("list_chats", {}, timeout=20)
    assert refused["error"]["code"] == "unavailable"
    assert ada.told("message") == []
    await parts.start(stack)
    assert [m["content"] for m in await ada.hears("message", 2)] == ["are you there?"] * 2


async def _start(client: Any, **payload: Any) -> dict[str, Any]:
    """The catalogue takes a moment to be announced."""

    async def started() -> bool:
        return bool((await client.call("start_chat", {**payload, "client_request_id": "first"}))["ok"])

    await until(started, 10, every=0.05)
    return await start_chat(client, **payload, client_request_id="first")
