"""Changes of sessions on a scripted bus: acked, released in order, and ordered among messages."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from chat_gateway.events import calls
from chat_gateway.protocol import payloads
from shared.contracts import commands
from shared.contracts.topology import CONTROL
from shared.contracts.turns import StopTurn
from shared.errors import Unavailable
from tests.integration.chat_gateway.conftest import Running
from tests.integration.chat_gateway.rooms import code, ok, room
from tests.support.waiting import until


async def test_changes_of_a_session_are_acked_and_shown(running: Running) -> None:
    """To the joined sockets, each change once, in ascending order."""
    session, [ada, bob] = await room(running, "bob")
    named = await ok(bob, "update_chat", session_id=session["id"], title="named", reply_policy=None)
    added = await ok(ada, "add_chatbot", session_id=session["id"], chatbot_id="echo")
    taken = await ok(ada, "remove_chatbot", session_id=session["id"], chatbot_id="eliza")
    assert named["session"]["title"] == "named"
    assert [bot["id"] for bot in added["session"]["chatbots"]] == ["eliza", "echo"]
    assert [bot["id"] for bot in taken["session"]["chatbots"]] == ["echo"]
    shown = await bob.hears("session_updated", 3)
    assert [s["seq"] for s in shown if s["seq"] > 1] == [2, 3, 4]
    updated = next(each for each in running.bus.logged if isinstance(each, commands.UpdateSession))
    assert (updated.title, updated.reply_policy) == ("named", None)


async def test_message_updates_are_released_in_order(running: Running) -> None:
    """`message_updated` takes a number: released in order, caught up on when lost, left out only where superseded."""
    session, [ada] = await room(running)
    bus = running.bus
    first, second = bus.store(session["id"], "one"), bus.store(session["id"], "two")
    await ok(ada, "edit_message", session_id=session["id"], message_id=str(first.id), content="one, edited")
    [shown] = await ada.hears("message_updated")
    assert (shown["seq"], shown["updated_seq"], shown["content"]) == (1, 3, "one, edited")
    bus.lost = 2
    bus.update(second, status="erased", content="")  # 4, lost, and changed again
    third = bus.store(session["id"], "three")  # 5, lost
    bus.update(second, superseded_by=third.id)  # 6
    await ada.hears("message_updated", 2)
    changes = [(n, p["seq"], p["updated_seq"]) for n, p in ada.heard if n.startswith("message")]
    assert changes == [
        ("message", 1, 1),
        ("message", 2, 2),
        ("message_updated", 1, 3),
        ("message", 5, 5),
        ("message_updated", 2, 6),
    ]


async def test_replies_are_stopped_regenerated_and_rated(running: Running) -> None:
    session, [ada, bob] = await room(running, "bob")
    reply = running.bus.store(session["id"], "a reply")
    about = {"session_id": session["id"], "message_id": str(reply.id)}
    await ok(bob, "stop_reply", **about)
    exchange, stop = running.bus.streamed[-1]
    assert (exchange, stop) == (CONTROL, StopTurn(session_id=UUID(session["id"]), message_id=reply.id))
    again = await ok(bob, "regenerate_reply", **about)
    [shown] = await bob.hears("message_updated")
    assert shown["superseded_by"] == again["message_id"]
    await ok(ada, "rate_reply", **about, rating=-1, comment="so so")
    [rating] = running.bus.chats[UUID(session["id"])].ratings
    assert (rating.rating, rating.comment, rating.user_id) == (-1, "so so", "ada")


async def test_changes_and_messages_of_a_socket_keep_their_order(running: Running) -> None:
    """What one socket sends to one session goes into the log in the order sent, also while that is being loaded."""
    session, _ = await room(running, "bob")
    gateway = Running(running.bus, running.issuer, running._stack)  # one that serves nothing yet
    running.bus.subscription = type(running.bus.subscription)()
    await gateway.start()
    phone = await gateway.client("ada")
    before = len(running.bus.logged)
    message = running.bus.store(session["id"], "mine", user="ada")
    acks: list[Any] = []
    for number in range(20):
        await phone.emit("send_message", {"session_id": session["id"], "content": str(number)}, callback=acks.append)
        edit = {"session_id": session["id"], "message_id": str(message.id), "content": str(number)}
        await phone.emit("edit_message", edit, callback=acks.append)
        await phone.emit("mark_read", {"session_id": session["id"], "seq": number}, callback=acks.append)
    await until(lambda: len(acks) == 60)
    assert all(ack["ok"] for ack in acks), acks
    logged = [(type(each).__name__, getattr(each, "content", None)) for each in running.bus.logged[before:]]
    expected = [("SendMessage", "{}"), ("EditMessage", "{}"), ("MarkRead", None)]
    assert logged == [(name, text and text.format(number)) for number in range(20) for name, text in expected]


async def test_unanswered_change_does_not_delay_messages(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is away: messages are accepted as ever, the change is `unavailable` in time and not begun later."""
    monkeypatch.setattr(calls, "DEADLINE", 3.0)
    session, [ada] = await room(running)
    running.bus.answering.clear()
    waiting = asyncio.create_task(ada.call("update_chat", {"session_id": session["id"], "title": "x"}, timeout=20))
    await until(lambda: isinstance(running.bus.logged[-1], commands.UpdateSession))
    await ok(ada, "send_message", session_id=session["id"], content="x")
    assert not waiting.done()
    ack = await waiting
    assert ack["error"]["code"] == "unavailable"
    assert running.bus.deadlines[-1] <= 3.0


async def test_every_change_is_unavailable_without_the_broker(running: Running) -> None:
    session, [ada] = await room(running)
    about = {"session_id": session["id"], "message_id": str(uuid4())}
    running.bus.refuse_queries = Unavailable()
    running.bus.connected = False
    for event, more in {
        "update_chat": {},
        "stop_reply": {},
        "set_typing": {"typing": True},
        "mark_read": {"seq": 0},
        "search_messages": {"query": "x"},
        "leave_session": {},
    }.items():
        assert await code(ada, event, **about, **more) == "unavailable"
    running.bus.connected = True


async def test_every_event_has_a_handler(running: Running) -> None:
    done = {payloads.SendMessage, *running.events._handlers}
    assert done == {*payloads.CLIENT_EVENTS.values(), *payloads.REQUESTS.values()}


async def test_search_returns_the_hits_of_persistence(running: Running) -> None:
    session, [ada] = await room(running)
    running.bus.store(session["id"], "a needle")
    found = await ok(ada, "search_messages", query="needle", session_id=session["id"])
    assert [hit["message"]["content"] for hit in found["hits"]] == ["a needle"]
    assert found["next_cursor"] is None
    assert (await ok(ada, "search_messages", query="hay"))["hits"] == []
