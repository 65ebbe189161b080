"""The main path: connect, start, send, join, and the events that sockets receive."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import MessageRejected, MessageStored, ReplyStreamed, SessionHead, TypingChanged
from shared.contracts.topology import session_key, user_key
from shared.contracts.views import ActiveTurn
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


async def test_missing_and_foreign_sessions_get_the_same_answer(running: Running) -> None:
    """`not_found`, word for word."""
    ada, eve = await running.client("ada"), await running.client("eve")
    session = await start_chat(ada)
    for event in ("send_message", "join_chat", "leave_chat", "get_messages"):
        foreign = await eve.call(event, {"session_id": session["id"], "content": "x"})
        missing = await eve.call(event, {"session_id": str(uuid4()), "content": "x"})
        assert foreign == missing
        assert foreign["error"]["code"] == "not_found"


async def test_live_events_follow_a_join_without_gap_or_repetition(running: Running) -> None:
    """Messages stored while joins are under way come once: in the ack, or after it."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    bus = running.bus
    other = await running.client("ada")
    bus.answering.clear()
    join = asyncio.create_task(other.call("join_chat", {"session_id": session["id"]}))
    await until(lambda: "JoinSession" in bus.asked)
    for number in range(3):
        bus.store(session["id"], f"before {number}")
    await ada.hears("message", 3)  # the join delays no other socket
    bus.answering.set()
    ack = await join
    for number in range(3):
        bus.store(session["id"], f"after {number}")
    seen = [message["seq"] for message in ack["messages"]]
    live = [message["seq"] for message in await other.hears("message", 3)]
    assert seen == [1, 2, 3]
    assert live == [4, 5, 6]
    assert ack["last_seq"] == 3


async def test_changes_after_the_snapshot_follow_the_ack(running: Running) -> None:
    """Sent to other sockets at once, buffered for the joining one."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    other = await running.client("ada")

    async def between() -> None:
        running.bus.store(session["id"], "between")
        await ada.hears("message")
        assert other.told("message") == []

    running.bus.between = between
    ack = await other.call("join_chat", {"session_id": session["id"]})
    assert (ack["messages"], ack["last_seq"]) == ([], 0)
    assert [message["content"] for message in await other.hears("message")] == ["between"]


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


async def test_join_pages_with_after_seq(running: Running) -> None:
    """While `has_more`, the socket has not joined; with the last page it has."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    for number in range(5):
        running.bus.store(session["id"], str(number))
    other = await running.client("ada")
    first = await other.call("join_chat", {"session_id": session["id"], "after_seq": 0, "limit": 3})
    assert (first["has_more"], first["last_seq"], len(first["messages"])) == (True, 3, 3)
    running.bus.store(session["id"], "5")
    await ada.hears("message", 6)
    assert other.told("message") == []
    rest = await other.call("join_chat", {"session_id": session["id"], "after_seq": 3})
    assert (rest["has_more"], rest["last_seq"]) == (False, 6)
    running.bus.store(session["id"], "6")
    assert [message["seq"] for message in await other.hears("message")] == [7]
    conflict = await other.call("join_chat", {"session_id": session["id"], "after_seq": 99})
    assert conflict["error"]["code"] == "conflict"


async def test_lost_deliveries_are_read(running: Running) -> None:
    """A hole, a repeat and a late event: numbers ascend, each once."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    bus = running.bus
    bus.store(session["id"], "one")
    bus.lost = 2
    two = bus.store(session["id"], "two")
    bus.retitle(session["id"], "three")
    bus.store(session["id"], "four")
    await until(lambda: len(ada.told("message")) == 3)
    bus.deliver(bus.chats[two.session_id], MessageStored(message=two))
    bus.store(session["id"], "five")
    await until(lambda: len(ada.told("message")) == 4)
    numbers = [
        data["updated_seq"] if name == "message" else data["seq"]
        for name, data in ada.heard
        if name == "message" or (name == "session_updated" and data["seq"])
    ]
    assert numbers == [1, 2, 3, 4, 5]


async def test_lost_last_change_is_found_by_the_head(running: Running) -> None:
    """No change follows it: an announced head or a gap of the queue reveals it."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    bus = running.bus
    bus.lost = 1
    message = bus.store(session["id"], "lost")
    bus.deliver(bus.chats[message.session_id], SessionHead(session_id=message.session_id, last_seq=1))
    await ada.hears("message")
    bus.lost = 1
    bus.store(session["id"], "lost too")
    bus.subscription.put("", gap=True)
    assert [m["seq"] for m in await ada.hears("message", 2)] == [1, 2]


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


async def test_socket_that_joins_during_a_reply_gets_its_text(running: Running) -> None:
    """Deltas in order; a late joiner has the text in its ack and a snapshot before further deltas; then the end."""
    ada, phone = await running.client("ada"), await running.client("ada")
    session = await start_chat(ada)
    bus = running.bus
    chat = next(iter(bus.chats.values()))
    reply = uuid4()
    chat.active = [ActiveTurn(message_id=reply, chatbot_id="eliza")]

    def delta(offset: int, text: str, attempt: int = 1000) -> None:
        piece = ReplyStreamed(
            session_id=chat.session.id,
            message_id=reply,
            chatbot_id="eliza",
            attempt=attempt,
            offset=offset,
            text=text,
            snapshot=False,
        )
        bus.deliver(chat, piece)

    bus.deliver(chat, TypingChanged(session_id=chat.session.id, sender_type="chatbot", sender_id="eliza", typing=True))
    delta(0, "How ")
    delta(4, "do ")
    await ada.hears("message_delta", 2)
    assert await ada.hears("typing")
    ack = await phone.call("join_chat", {"session_id": session["id"]})
    assert ack["active_replies"] == [
        {"message_id": str(reply), "chatbot_id": "eliza", "attempt": 1000, "text": "How do "}
    ]
    delta(7, "you ")
    delta(11, "do?")
    first, second = await phone.hears("message_delta", 2)
    assert (first["snapshot"], first["offset"], first["text"]) == (True, 0, "How do you ")
    assert (second["snapshot"], second["offset"], second["text"]) == (False, 11, "do?")
    assert [d["offset"] for d in await ada.hears("message_delta", 4)] == [0, 4, 7, 11]
    delta(0, "overtaken", attempt=7)
    stored = bus.store(session["id"], "How do you do?", id=reply)
    await ada.hears("message")
    delta(14, "late")
    bus.store(session["id"], "next")
    await ada.hears("message", 2)
    assert len(ada.told("message_delta")) == 4
    assert stored.id == reply


async def test_socket_that_left_receives_nothing(running: Running) -> None:
    """leave_chat, and again: ok."""
    ada, phone = await running.client("ada"), await running.client("ada")
    session = await start_chat(ada)
    await phone.call("join_chat", {"session_id": session["id"]})
    for _ in range(2):
        assert await phone.call("leave_chat", {"session_id": session["id"]}) == {"ok": True}
    running.bus.store(session["id"], "x")
    await ada.hears("message")
    assert phone.told("message") == []


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
