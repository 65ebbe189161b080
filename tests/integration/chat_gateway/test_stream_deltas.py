"""Deltas on streams: they begin with a snapshot, never come after their message, and no attempt falls."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.events import ReasoningStreamed, ReplyStreamed
from shared.contracts.views import ActiveTurn
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.following import stream, user_stream
from tests.support.event_stream import EventStream

DELTAS = ("message_delta", "reasoning_delta")


class Reply:
    """A reply of the scripted worker."""

    def __init__(self, running: Running) -> None:
        self.bus = running.bus
        self.chat = next(iter(running.bus.chats.values()))
        self.id: UUID = uuid4()
        self.chat.active = [ActiveTurn(message_id=self.id, chatbot_id="eliza")]

    def delta(
        self, offset: int, text: str, attempt: int = 1, *, snapshot: bool = False, reasoning: bool = False
    ) -> None:
        event = ReasoningStreamed if reasoning else ReplyStreamed
        piece = event(
            session_id=self.chat.session.id,
            message_id=self.id,
            chatbot_id="eliza",
            attempt=attempt,
            offset=offset,
            text=text,
            snapshot=snapshot,
        )
        self.bus.deliver(self.chat, piece)

    def store(self, text: str) -> None:
        self.chat.active = []
        self.bus.store(self.chat.session.id, text, id=self.id)


def shown(following: EventStream, name: str = "message_delta") -> str:
    """Return the text that a client shows: a snapshot replaces it, any other delta continues it."""
    text = ""
    for event in following.named(name):
        if event.data["snapshot"]:
            text = event.data["text"]
        else:
            assert event.data["offset"] == len(text)
            text += event.data["text"]
    return text


@pytest.fixture
async def session(running: Running) -> dict[str, Any]:
    return await start_chat(await running.client("ada"))


async def test_stream_opened_during_a_reply_begins_with_a_snapshot(running: Running, session: dict[str, Any]) -> None:
    """`ready` has the text so far, as the ack of a join; the deltas carry no id."""
    reply = Reply(running)
    async with stream(running, session) as first:
        await first.until("ready")
        reply.delta(0, "How ")
        reply.delta(4, "do ")
        await first.until("message_delta", lambda delta: delta["offset"] == 4)
        async with stream(running, session) as late:
            [active] = (await late.until("ready"))["active_replies"]
            reply.delta(7, "you ")
            reply.delta(11, "do?")
            reply.store("How do you do?")
            await late.until("message")
            await first.until("message")
    assert (active["text"], active["attempt"]) == ("How do ", 1)
    for each, offsets in ((late, [0, 11]), (first, [0, 4, 7, 11])):
        assert [event.data["offset"] for event in each.named("message_delta")] == offsets
        assert [event.data["snapshot"] for event in each.named("message_delta")] == [True] + [False] * (
            len(offsets) - 1
        )
        assert shown(each) == "How do you do?"
        assert all(event.id is None for event in each.named(*DELTAS))
        assert each.events[-1].name == "message"


async def test_stream_waits_for_a_snapshot_of_a_text_that_the_gateway_has_not_seen(
    running: Running, session: dict[str, Any]
) -> None:
    """A delta in the middle says nothing to a client that lacks the beginning."""
    reply = Reply(running)
    async with stream(running, session) as following:
        await following.until("ready")
        reply.delta(9, "middle ")
        reply.delta(0, "The whole middle ", snapshot=True)
        reply.delta(17, "end")
        await following.until("message_delta", lambda delta: delta["offset"] == 17)
    assert [event.data["text"] for event in following.named("message_delta")] == ["The whole middle ", "end"]
    assert shown(following) == "The whole middle end"


async def test_stream_receives_no_text_behind_a_hole(running: Running, session: dict[str, Any]) -> None:
    """Until the next snapshot, after a delta was lost on its way to the gateway."""
    reply = Reply(running)
    async with stream(running, session) as following:
        await following.until("ready")
        reply.delta(0, "one ")
        reply.delta(8, "three ")
        reply.delta(0, "one two three ", snapshot=True)
        reply.delta(14, "four")
        await following.until("message_delta", lambda delta: delta["offset"] == 14)
    assert shown(following) == "one two three four"


async def test_no_delta_follows_its_message(running: Running, session: dict[str, Any]) -> None:
    """Not even where the message came with the catch-up, before the gateway has seen a delta of it."""
    reply = Reply(running)
    running.bus.lost = 1
    reply.store("done")
    async with stream(running, session, after_seq=0) as following:
        await following.until("ready")
        reply.delta(0, "do", snapshot=True)
        reply.delta(0, "thinking", snapshot=True, reasoning=True)
        running.bus.store(session["id"], "next")
        await following.until("message", lambda message: message["content"] == "next")
    assert following.named(*DELTAS) == []


async def test_attempt_of_a_reply_never_falls(running: Running, session: dict[str, Any]) -> None:
    """Neither in a text nor from reasoning to text; a higher attempt begins the text again."""
    reply = Reply(running)
    async with stream(running, session) as following:
        await following.until("ready")
        reply.delta(0, "first", 1)
        reply.delta(0, "thinking", 2, reasoning=True)
        reply.delta(0, "first late", 1, snapshot=True)
        reply.delta(0, "sec", 2)
        reply.delta(0, "late", 1, snapshot=True, reasoning=True)
        reply.delta(3, "ond", 2)
        reply.store("second")
        await following.until("message")
    deltas = following.named(*DELTAS)
    attempts = [event.data["attempt"] for event in deltas]
    assert attempts == sorted(attempts) == [1, 2, 2, 2]
    assert [event.data["text"] for event in deltas] == ["first", "thinking", "sec", "ond"]
    assert [event.data["snapshot"] for event in deltas] == [True, True, True, False]


async def test_stream_of_a_user_receives_no_deltas(running: Running, session: dict[str, Any]) -> None:
    reply = Reply(running)
    async with user_stream(running) as all_events, stream(running, session) as following:
        await all_events.until("ready")
        await following.until("ready")
        reply.delta(0, "text")
        await following.until("message_delta")
        running.bus.retitle(session["id"], "A title")
        await all_events.until("session_updated")
    assert [event.name for event in all_events.events] == ["ready", "session_updated"]
