"""Main flow of a chat with the python-socketio client (contract.md §3)."""

from __future__ import annotations

import asyncio
import re
from uuid import uuid4

import pytest

from tests.support.client import Account, Device, new_account
from tests.support.stack import Stack

TEXT = "The quick brown fox — jumps 🦊 over the lazy dog"
MESSAGE = {"id", "session_id", "seq", "updated_seq", "sender_type", "sender_id", "content", "created_at"}
MESSAGE |= {"client_message_id", "reply_to", "status", "error", "superseded_by"}
SESSION = {
    "id",
    "title",
    "owner_id",
    "users",
    "chatbots",
    "reply_policy",
    "seq",
    "last_seq",
    "created_at",
    "updated_at",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_message_is_acked_stored_and_answered_by_a_streamed_reply(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        assert set(session) == SESSION
        assert session["users"] == [account.id] == [session["owner_id"]]
        assert [bot["id"] for bot in session["chatbots"]] == ["echo"]
        assert (session["seq"], session["last_seq"], session["reply_policy"]) == (0, 0, "mentioned")
        message_id = await device.send(session, TEXT, client_message_id="one")
        reply = await device.reply_to(message_id)
        own = await device.until("message", lambda m: m["id"] == message_id)
    assert set(own) == set(reply) == MESSAGE
    assert (own["seq"], own["updated_seq"], own["sender_type"], own["sender_id"]) == (1, 1, "user", account.id)
    assert (own["content"], own["client_message_id"], own["status"]) == (TEXT, "one", "complete")
    assert (reply["seq"], reply["updated_seq"], reply["sender_id"], reply["status"]) == (2, 2, "echo", "complete")
    assert TIME.fullmatch(own["created_at"])
    assert TIME.fullmatch(reply["created_at"])
    deltas = [p for _, p in device.received("message_delta", session=session)]
    assert {delta["message_id"] for delta in deltas} == {reply["id"]}
    assert len(deltas) > 1, "the reply was not streamed"
    assert "".join(delta["text"] for delta in deltas if not delta["snapshot"]) == reply["content"] == TEXT
    length = 0
    for delta in deltas:
        assert delta["snapshot"] or delta["offset"] == length
        length = delta["offset"] + len(delta["text"])
    order = [event for event, _ in device.received("message", "message_delta", session=session)]
    assert order[-1] == "message", "a delta arrived after the message that ends the reply"


async def test_ready_has_user_token_expiry_and_limits(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        ready = await device.until("ready")
    assert set(ready) == {"user_id", "token_expires_at", "server_time", "protocol", "limits"}
    assert (ready["user_id"], ready["protocol"]) == (account.id, 1)
    assert set(ready["limits"]) == {"content", "frame", "events_per_second", "burst", "users", "chatbots"}
    assert (ready["limits"]["content"], ready["limits"]["frame"]) == (16_000, 256 * 1024)


async def test_default_chatbot_replies_if_none_is_named(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        bots = (await device.ok("list_chatbots"))["chatbots"]
        session = (await device.ok("start_chat"))["session"]
        reply = await device.reply_to(await device.send(session, "I am worried about my mother"))
    default = [bot["id"] for bot in bots if bot["default"]]
    assert {frozenset(bot) for bot in bots} == {frozenset({"id", "name", "description", "default"})}
    assert default == [session["chatbots"][0]["id"]] == [reply["sender_id"]]
    assert reply["content"]


async def test_first_reply_sets_title_with_a_separate_sequence_number(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(title=None)
        assert session["title"] is None
        await device.send(session, "What is a good name for a cat?")
        titled = await device.until("session_updated", lambda s: s["id"] == session["id"] and s["title"])
        second = await device.send(session, "And for a dog?")
        reply = await device.reply_to(second)
    assert (titled["seq"], titled["last_seq"]) == (3, 3)
    assert reply["seq"] == 5


async def test_second_device_receives_the_same_events_in_the_same_order(stack: Stack, account: Account) -> None:
    async with (
        Device(stack.gateway_urls[0], account.token) as first,
        Device(stack.gateway_urls[-1], account.token) as second,
    ):
        session = await first.start_chat()
        joined = await second.ok("join_chat", session_id=session["id"])
        assert joined["messages"] == []
        for number in range(3):
            reply = await first.reply_to(await first.send(session, f"{TEXT} {number}"))
        await second.until("message", lambda m: m["id"] == reply["id"])
        history = await first.history(session)
    seen = [[m for _, m in device.received("message", session=session)] for device in (first, second)]
    assert seen[0] == seen[1] == history
    assert [message["seq"] for message in history] == [1, 2, 3, 4, 5, 6]
    texts = [
        [(d["message_id"], d["offset"], d["text"]) for _, d in device.received("message_delta", session=session)]
        for device in (first, second)
    ]
    assert texts[0] == texts[1]


async def test_new_session_is_shown_on_all_devices_of_the_user(stack: Stack, account: Account) -> None:
    async with (
        Device(stack.gateway_urls[0], account.token) as first,
        Device(stack.gateway_urls[-1], account.token) as second,
    ):
        session = await first.start_chat(title="Holidays")
        seen = await second.until("session_updated", lambda s: s["id"] == session["id"])
    assert seen == session


async def test_join_chat_with_after_seq_returns_exactly_the_missed_messages(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as sender:
        session = await sender.start_chat(reply_policy="silent")
        async with Device(stack.gateway_urls[-1], account.token) as away:
            await away.ok("join_chat", session_id=session["id"])
            sent = [await sender.send(session, f"seen {n}") for n in range(3)]
            await away.until("message", lambda m: m["id"] == sent[-1])
        missed = [await sender.send(session, f"missed {n}") for n in range(5)]
        await sender.until("message", lambda m: m["id"] == missed[-1])
        async with Device(stack.gateway_urls[-1], account.token) as back:
            got, cursor, more = [], 3, True
            while more:
                page = await back.ok("join_chat", session_id=session["id"], after_seq=cursor, limit=2)
                got, cursor, more = got + page["messages"], page["last_seq"], page["has_more"]
            assert [m["id"] for m in got] == missed
            assert page["session"]["last_seq"] == cursor == 8
            live = await sender.send(session, "live")
            await back.until("message", lambda m: m["id"] == live)
            assert [m["seq"] for _, m in back.received("message", session=session)] == [9]
            code = await back.error("join_chat", {"session_id": session["id"], "after_seq": 10_000})
            assert code == "conflict"


async def test_device_receives_no_events_after_leave_chat(stack: Stack, account: Account) -> None:
    async with (
        Device(stack.gateway_urls[0], account.token) as stays,
        Device(stack.gateway_urls[0], account.token) as leaves,
    ):
        session = await stays.start_chat(reply_policy="silent")
        await leaves.ok("join_chat", session_id=session["id"])
        await leaves.ok("leave_chat", session_id=session["id"])
        sent = await stays.send(session, "is anyone there?")
        await stays.until("message", lambda m: m["id"] == sent)
        await leaves.ok("list_chatbots")  # earlier events are queued before this ack
        assert leaves.received("message", session=session) == []


async def test_resend_with_same_client_message_id_is_one_message_on_any_gateway(stack: Stack, account: Account) -> None:
    async with (
        Device(stack.gateway_urls[0], account.token) as first,
        Device(stack.gateway_urls[-1], account.token) as second,
    ):
        session = await first.start_chat()
        await second.ok("join_chat", session_id=session["id"])
        ids = [await first.send(session, "the first wins", client_message_id="again")]
        ids += [await second.send(session, f"not this {n}", client_message_id="again") for n in range(3)]
        await first.reply_to(ids[0])
        last = await first.send(session, "the end")
        await first.reply_to(last)
        history = await first.history(session)
    assert len(set(ids)) == 1
    assert [(m["seq"], m["content"]) for m in history] == [
        (1, "the first wins"),
        (2, "the first wins"),
        (3, "the end"),
        (4, "the end"),
    ]
    assert [m["seq"] for _, m in first.received("message", session=session)] == [1, 2, 3, 4]


async def test_start_chat_with_same_request_id_returns_the_same_session(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        first = await device.start_chat(title="first", client_request_id="r-1")
        again = await device.start_chat(title="second", client_request_id="r-1")
        other = await device.start_chat(client_request_id="r-2")
    assert (again["id"], again["title"]) == (first["id"], "first")
    assert other["id"] != first["id"]


async def test_fifty_pipelined_messages_are_stored_in_send_order(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(reply_policy="silent")
        acks: list[asyncio.Future[str]] = []
        for number in range(50):
            ack: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            payload = {"session_id": session["id"], "content": f"number {number}"}
            await device.client.emit("send_message", payload, callback=lambda a, f=ack: f.set_result(a["message_id"]))
            acks.append(ack)
        ids = await asyncio.gather(*acks)
        await device.until("message", lambda m: m["id"] == ids[-1])
        history = await device.history(session)
    assert [m["id"] for m in history] == list(ids)
    assert [m["content"] for m in history] == [f"number {n}" for n in range(50)]
    assert [m["seq"] for m in history] == list(range(1, 51))


async def test_lists_are_paged_in_both_directions(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        sessions = [await device.start_chat(reply_policy="silent", title=f"chat {n}") for n in range(5)]
        oldest = sessions[0]
        sent = [await device.send(oldest, f"message {n}") for n in range(7)]
        await device.until("message", lambda m: m["id"] == sent[-1])
        listed, cursor = [], None
        while True:
            page = await device.ok("list_chats", cursor=cursor, limit=2)
            assert len(page["sessions"]) <= 2
            listed += page["sessions"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        newest = await device.ok("get_messages", session_id=oldest["id"], limit=3)
        before = await device.ok("get_messages", session_id=oldest["id"], limit=10, before_seq=5)
        after = await device.ok("get_messages", session_id=oldest["id"], limit=2, after_seq=1)
        joined = await device.ok("join_chat", session_id=oldest["id"], limit=2)
        both = await device.error("get_messages", {"session_id": oldest["id"], "before_seq": 5, "after_seq": 1})
    assert [s["id"] for s in listed] == [oldest["id"], *(s["id"] for s in reversed(sessions[1:]))]
    assert {frozenset(s) for s in listed} == {frozenset(SESSION | {"read_seq"})}
    assert ([m["seq"] for m in newest["messages"]], newest["has_more"]) == ([5, 6, 7], True)
    assert ([m["seq"] for m in before["messages"]], before["has_more"]) == ([1, 2, 3, 4], False)
    assert ([m["seq"] for m in after["messages"]], after["has_more"]) == ([2, 3], True)
    assert ([m["seq"] for m in joined["messages"]], joined["has_more"], joined["last_seq"]) == ([6, 7], True, 7)
    assert both == "invalid_request"


@pytest.mark.parametrize("event", ["send_message", "join_chat", "leave_chat", "get_messages"])
async def test_foreign_and_unknown_session_are_indistinguishable(stack: Stack, account: Account, event: str) -> None:
    stranger = await new_account(stack.auth_url)
    async with (
        Device(stack.gateway_urls[0], account.token) as owner,
        Device(stack.gateway_urls[0], stranger.token) as device,
    ):
        session = await owner.start_chat()
        await owner.reply_to(await owner.send(session, "mine"))
        foreign = await device.call(event, {"session_id": session["id"], "content": "open"})
        unknown = await device.call(event, {"session_id": str(uuid4()), "content": "open"})
        assert (await device.ok("list_chats"))["sessions"] == []
    assert foreign == unknown
    assert foreign["error"]["code"] == "not_found"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_chat_works_over_websocket_and_polling(stack: Stack, account: Account, transport: str) -> None:
    async with Device(stack.gateway_urls[0], account.token, transport=transport) as device:
        session = await device.start_chat()
        reply = await device.reply_to(await device.send(session, "over " + transport))
    assert reply["content"] == "over " + transport


async def test_session_activity_is_sent_only_to_devices_that_have_not_joined(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        async with Device(stack.gateway_urls[-1], account.token) as other:
            reply = await device.reply_to(await device.send(session, "one two three"))
            activity = await other.until("session_activity", lambda a: a["last_seq"] >= reply["seq"])
            assert set(activity) == {"session_id", "last_seq", "updated_at"}
            assert activity["session_id"] == session["id"]
            assert not other.received("message", session=session)
    assert not device.received("session_activity", session=session)
