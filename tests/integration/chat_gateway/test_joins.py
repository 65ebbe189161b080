"""Joins: the snapshot, the live events after it, and missed deliveries that are read."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from shared.contracts.events import MessageStored, ReplyStreamed, SessionHead, TypingChanged
from shared.contracts.views import ActiveTurn
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.support.waiting import until


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
        {"message_id": str(reply), "chatbot_id": "eliza", "attempt": 1000, "text": "How do ", "reasoning": ""}
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
