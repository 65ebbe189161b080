"""The main path: connect, start, send, and the events that sockets receive."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import MessageRejected
from shared.contracts.topology import session_key, user_key
from shared.errors import Unavailable
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.support.waiting import until


async def test_ready_has_the_documented_fields(running: Running) -> None:
    """`ready` as in the contract, right after the connect."""
    client = await running.client("ada")
    [ready] = client.told("ready")
    assert ready.keys() == {"user_id", "token_expires_at", "server_time", "protocol", "limits"}
    assert ready["user_id"] == "ada"
    assert ready["protocol"] == 1
    assert ready["limits"] == {
        "content": 16_000,
        "frame": 262_144,
        "events_per_second": 50,
        "burst": 200,
        "users": 100,
        "chatbots": 8,
    }


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_stored_message_reaches_every_joined_socket(running: Running, transports: list[str]) -> None:
    """start_chat joins; send_message is acked; the message comes to every joined socket, on each transport."""
    client = await running.client("ada", transports=transports)
    other = await running.client("ada")
    session = await start_chat(client, title="hello", client_request_id="r1")
    assert session["title"] == "hello"
    joined = await other.call("join_chat", {"session_id": session["id"]})
    assert joined["ok"]
    ack = await client.call("send_message", {"session_id": session["id"], "content": "hi", "client_message_id": "m1"})
    assert ack == {"ok": True, "message_id": ack["message_id"], "client_message_id": "m1", "status": "accepted"}
    for each in (client, other):
        [message] = await each.hears("message")
        assert message["id"] == ack["message_id"]
        assert (message["seq"], message["content"], message["sender_id"]) == (1, "hi", "ada")


async def test_repeated_client_id_is_the_same_message(running: Running) -> None:
    """Sent again by another device: the same id, shown once."""
    client, other = await running.client("ada"), await running.client("ada")
    session = await start_chat(client)
    payload = {"session_id": session["id"], "content": "hi", "client_message_id": "m1"}
    first = await client.call("send_message", payload)
    again = await other.call("send_message", {**payload, "content": "other words"})
    assert first["message_id"] == again["message_id"]
    await client.call("send_message", {"session_id": session["id"], "content": "next"})
    assert [message["content"] for message in await client.hears("message", 2)] == ["hi", "next"]


async def test_order_is_kept_while_the_session_is_loaded(running: Running) -> None:
    """A socket that has joined nothing sends a hundred at once: published in the order sent."""
    owner = await running.client("ada")
    session = await start_chat(owner)
    await owner.disconnect()
    gateway = Running(running.bus, running.issuer, running._stack)  # one that serves nothing yet
    running.bus.subscription = type(running.bus.subscription)()
    await gateway.start()
    sender = await gateway.client("ada")
    acks: list[Any] = []
    for number in range(100):
        await sender.emit("send_message", {"session_id": session["id"], "content": str(number)}, callback=acks.append)
    await until(lambda: len(acks) == 100)
    assert all(ack["ok"] for ack in acks), acks[0]
    assert [send.content for send in running.bus.sent] == [str(number) for number in range(100)]
    assert running.bus.asked.count("ReadSession") == 1


async def test_message_does_not_overtake_one_whose_session_is_loading(running: Running) -> None:
    """Another socket loads the session in the meantime."""
    first = await running.client("ada")
    session = await start_chat(first)
    gateway = Running(running.bus, running.issuer, running._stack)
    running.bus.subscription = type(running.bus.subscription)()
    await gateway.start()
    sender, other = await gateway.client("ada"), await gateway.client("ada")
    running.bus.answering.clear()
    acks: list[Any] = []
    await sender.emit("send_message", {"session_id": session["id"], "content": "one"}, callback=acks.append)
    await until(lambda: "ReadSession" in running.bus.asked)
    held, running.bus.answering = running.bus.answering, asyncio.Event()
    running.bus.answering.set()
    assert (await other.call("join_chat", {"session_id": session["id"]}))["ok"]
    await sender.emit("send_message", {"session_id": session["id"], "content": "two"}, callback=acks.append)
    assert (await sender.call("list_chats", {}))["ok"]  # by now `two` has been taken
    held.set()
    await until(lambda: len(acks) == 2)
    assert [send.content for send in running.bus.sent] == ["one", "two"]


async def test_session_updated_reaches_every_socket_once(running: Running) -> None:
    """Joined or not; a new session on one device is shown on all devices of the user."""
    ada, phone = await running.client("ada"), await running.client("ada")
    session = await start_chat(ada)
    [new] = await phone.hears("session_updated")
    assert new["id"] == session["id"]
    running.bus.retitle(session["id"], "named")
    await phone.hears("session_updated", 2)
    await until(lambda: [s["title"] for s in ada.told("session_updated") if s["seq"]] == ["named"])
    running.bus.store(session["id"], "x")
    await ada.hears("message")
    assert len([s for s in ada.told("session_updated") if s["seq"]]) == 1
    assert phone.told("message") == []


async def test_rejections_reach_all_sockets_of_the_author(running: Running) -> None:
    """Other users receive nothing."""
    ada, phone, eve = [await running.client(user) for user in ("ada", "ada", "eve")]
    session_id, message_id = uuid4(), uuid4()
    rejected = MessageRejected(
        session_id=session_id, message_id=message_id, client_message_id="m", user_id="ada", code="not_found"
    )
    running.bus.subscription.put(user_key(ids.bucket("ada", 4)), Event("persistence", rejected, str(session_id)))
    for each in (ada, phone):
        [told] = await each.hears("message_rejected")
        assert told == {
            "session_id": str(session_id),
            "message_id": str(message_id),
            "client_message_id": "m",
            "code": "not_found",
        }
    assert eve.told("message_rejected") == []


async def test_lists_and_history_are_returned(running: Running) -> None:
    """The reads pass through."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.store(session["id"], "x")
    history = await ada.call("get_messages", {"session_id": session["id"]})
    assert (history["has_more"], [m["content"] for m in history["messages"]]) == (False, ["x"])
    chats = await ada.call("list_chats", {})
    assert [chat["id"] for chat in chats["sessions"]] == [session["id"]]
    assert chats["next_cursor"] is None
    bots = await ada.call("list_chatbots", {})
    assert bots["chatbots"][0] == {"id": "eliza", "name": "Eliza", "description": "listens", "default": True}


async def test_events_are_unavailable_without_the_broker_and_sockets_stay(running: Running) -> None:
    """The broker away: `unavailable` with `retry_after`; then it works again."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.refuse_publish = running.bus.refuse_queries = Unavailable()
    for event in ("send_message", "join_chat", "list_chats", "start_chat", "get_messages", "list_chatbots"):
        ack = await ada.call(event, {"session_id": session["id"], "content": "x"}, timeout=20)
        assert ack["error"]["code"] == "unavailable"
        assert ack["error"]["retry_after"] > 0
    running.bus.refuse_publish = running.bus.refuse_queries = None
    assert (await ada.call("send_message", {"session_id": session["id"], "content": "x"}))["ok"]


async def test_event_without_an_ack_id_is_processed(running: Running) -> None:
    """The message is stored although no ack was requested."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    await ada.emit("send_message", {"session_id": session["id"], "content": "quiet"})
    assert (await ada.hears("message"))[0]["content"] == "quiet"


async def test_removed_member_receives_nothing(running: Running) -> None:
    """The membership is released before later changes."""
    ada, bob = await running.client("ada"), await running.client("bob")
    session = await start_chat(ada)
    running.bus.retitle(session["id"], "both", ["ada", "bob"])
    assert (await bob.call("join_chat", {"session_id": session["id"]}))["ok"]
    running.bus.retitle(session["id"], "ada alone", ["ada"])
    running.bus.store(session["id"], "secret")
    await ada.hears("message")
    assert bob.told("message") == []
    assert (await bob.call("send_message", {"session_id": session["id"], "content": "x"}))["error"][
        "code"
    ] == "not_found"


def test_session_keys_are_those_of_the_topology() -> None:
    """What the gateway binds is what persistence publishes to."""
    assert session_key(3) == "s.3"
