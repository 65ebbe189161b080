"""Streams: events that are no changes, limits, and what a closed stream leaves behind."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from chat_gateway.streams import event_streams
from chat_gateway.transport import event_stream
from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import MessageRejected
from shared.contracts.topology import user_key
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.following import stream, user_stream
from tests.integration.chat_gateway.rooms import room
from tests.support.waiting import until


async def test_comments_show_that_an_idle_stream_is_alive(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser yields no event for them."""
    assert event_streams.COMMENT_EVERY + event_streams.WATCH_EVERY < 12  # seconds, and an allowance to 15
    monkeypatch.setattr(event_streams, "COMMENT_EVERY", 0.1)
    monkeypatch.setattr(event_streams, "WATCH_EVERY", 0.05)
    await gateway.start()
    session = await start_chat(await gateway.client("ada"))
    async with stream(gateway, session) as following, user_stream(gateway) as all_events:
        await until(lambda: following.comments >= 3 and all_events.comments >= 3)
    assert [event.name for event in following.events] == ["ready"]
    assert [event.name for event in all_events.events] == ["ready"]


async def test_stream_shows_no_user_as_present_and_receives_presence(running: Running) -> None:
    session, [ada, bob] = await room(running, "bob")
    await ada.hears("presence")
    async with stream(running, session, "bob") as following:
        await following.until("presence", lambda shown: shown["users"] == ["ada", "bob"])
        await bob.disconnect()
        await following.until("presence", lambda shown: shown["users"] == ["ada"])
        await until(lambda: ada.told("presence")[-1]["users"] == ["ada"])


async def test_streams_count_as_sockets_of_the_user(gateway: Running) -> None:
    await gateway.start(sockets_per_user=3)
    session = await start_chat(await gateway.client("ada"))
    async with stream(gateway, session) as following, user_stream(gateway) as all_events:
        await following.until("ready")
        await all_events.until("ready")
        async with stream(gateway, session) as refused:
            assert (refused.response.status_code, refused.response.json()["code"]) == (429, "rate_limited")
            assert int(refused.response.headers["retry-after"]) >= 1
    await until(lambda: gateway.metric("streams") == 0)
    async with stream(gateway, session) as following:
        await following.until("ready")


async def test_opening_costs_one_event_of_the_budget(gateway: Running) -> None:
    await gateway.start(events_per_second=0.01, events_burst=2)
    session = await start_chat(await gateway.client("ada"))
    async with stream(gateway, session) as following:
        await following.until("ready")
        async with user_stream(gateway) as refused:
            assert (refused.response.status_code, refused.response.json()["code"]) == (429, "rate_limited")


async def test_closed_stream_leaves_nothing_behind(running: Running) -> None:
    """The gateway notices the disconnect at once, and no reply is stopped."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    async with stream(running, session) as following:
        await following.until("ready")
        assert running.metric("streams") == 1
    await until(lambda: running.metric("streams") == 0, within=2)
    assert [each.user_id for each in running.server._callbacks._connected_users.all_sockets()] == ["ada"]
    served = running.server._callbacks._sessions._registry.find(session["id"])
    assert len(served.subscribers) == 1
    assert [type(command).__name__ for command in running.bus.logged] == ["StartSession"]


async def test_stream_of_a_user_begins_with_ready_and_has_no_cursor(running: Running) -> None:
    """It receives what a socket that has joined nothing receives."""
    ada = await running.client("ada")
    idle = await running.client("ada")
    async with user_stream(running, last_event_id="garbage", after_seq="x") as all_events:
        ready = await all_events.until("ready")
        assert set(ready) == {"user_id", "token_expires_at", "server_time", "protocol", "limits"}
        session = await start_chat(ada)
        running.bus.retitle(session["id"], "A title")
        await all_events.until("session_updated", lambda shown: shown["title"] == "A title")
        await idle.hears("session_updated", 2)
    assert [event.data for event in all_events.named("session_updated")] == idle.told("session_updated")
    assert all(event.id is None for event in all_events.events)
    assert all_events.events[0].name == "ready"


async def test_stream_of_a_session_is_sent_nothing_of_other_sessions(running: Running) -> None:
    ada = await running.client("ada")
    session, other = await start_chat(ada), await start_chat(ada)
    async with stream(running, session) as following:
        await following.until("ready")
        running.bus.retitle(other["id"], "Other")
        running.bus.store(other["id"], "other")
        running.bus.retitle(session["id"], "Own")
        await following.until("session_updated")
    assert [(event.name, event.id) for event in following.events] == [("ready", 0), ("session_updated", 1)]


async def test_open_streams_outlive_an_absent_persistence(running: Running) -> None:
    """A new one is refused within six seconds."""
    session = await start_chat(await running.client("ada"))
    async with stream(running, session) as following:
        await following.until("ready")
        running.bus.answering.clear()
        begun = time.monotonic()
        async with stream(running, session) as refused:
            assert (refused.response.status_code, refused.response.json()["code"]) == (503, "unavailable")
        assert time.monotonic() - begun < 7
        running.bus.store(session["id"], "live")
        await following.until("message")


async def test_many_streams_of_a_session_share_one_encoding(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is encoded once for all streams, and only if there is one."""
    encoded: list[str] = []
    plain = event_stream.event_text

    def counting(name: str, payload: bytes, number: int | None = None) -> bytes:
        encoded.append(name)
        return plain(name, payload, number)

    monkeypatch.setattr(event_stream, "event_text", counting)
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.store(session["id"], "one")
    await ada.hears("message")
    assert encoded == []
    async with stream(running, session) as first, stream(running, session) as second:
        await asyncio.gather(first.until("ready"), second.until("ready"))
        running.bus.store(session["id"], "two")
        await asyncio.gather(first.until("message"), second.until("message"))
    assert encoded.count("message") == 1


async def test_rejected_message_comes_on_both_streams(running: Running) -> None:
    """On the stream of a session only if it was sent to this session."""
    ada = await running.client("ada")
    session, other = await start_chat(ada), await start_chat(ada)
    async with stream(running, session) as following, user_stream(running) as all_events:
        await following.until("ready")
        await all_events.until("ready")
        for at in (other, session):
            rejected = MessageRejected(
                session_id=UUID(at["id"]), message_id=uuid4(), user_id="ada", client_message_id="c", code="internal"
            )
            key = user_key(ids.bucket("ada", running.bus.partitions))
            running.bus.subscription.put(key, Event("persistence", rejected))
        await following.until("message_rejected")
        await until(lambda: len(all_events.named("message_rejected")) == 2)
        assert [event.data for event in following.named("message_rejected")] == [ada.told("message_rejected")[1]]
    assert [event.data for event in all_events.named("message_rejected")] == ada.told("message_rejected")


async def test_stream_ends_although_the_event_of_the_removal_was_lost(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change of the session itself ends the delivery; the next comment ends the stream."""
    monkeypatch.setattr(event_streams, "COMMENT_EVERY", 0.1)
    monkeypatch.setattr(event_streams, "WATCH_EVERY", 0.05)
    await gateway.start()
    session, _ = await room(gateway, "bob")
    monkeypatch.setattr(gateway.bus, "tell_gone", lambda *_arguments, **_options: None)
    async with stream(gateway, session, "bob") as following:
        await following.until("ready")
        gateway.bus.retitle(session["id"], "Without Bob", users=["ada"])
        await until(lambda: following.closed)
    assert "Without Bob" not in following.raw
