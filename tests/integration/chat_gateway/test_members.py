"""Former members receive nothing, and all members are notified of a deletion."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from shared.contracts.events import ReplyStreamed, SessionDeleted, TypingChanged
from tests.integration.chat_gateway.conftest import Running
from tests.integration.chat_gateway.rooms import code, ok, room


@pytest.mark.parametrize("how", ["leave_session", "remove_user"])
async def test_former_member_receives_nothing(running: Running, how: str) -> None:
    """No message, delta or typing; one `session_deleted` on each socket, joined or not."""
    session, [ada, bob] = await room(running, "bob")
    phone, idle = await running.client("bob"), await running.client("bob")
    await ok(phone, "join_chat", session_id=session["id"])
    if how == "leave_session":
        await ok(bob, how, session_id=session["id"])
    else:
        gone = await ok(ada, how, session_id=session["id"], user_id="BOB")
        assert gone["session"]["users"] == ["ada"]
    chat = running.bus.chats[UUID(session["id"])]
    running.bus.store(session["id"], "secret")
    running.bus.deliver(
        chat, TypingChanged(session_id=chat.session.id, sender_type="chatbot", sender_id="e", typing=True)
    )
    await ada.hears("typing")
    for client in (bob, phone, idle):
        assert await client.hears("session_deleted") == [{"session_id": session["id"]}]
        assert client.told("message") == client.told("typing") == []
        assert await code(client, "send_message", session_id=session["id"], content="x") == "not_found"
    assert ada.told("session_deleted") == []
    assert [socket.joined for socket in running.server._callbacks._connected_users.sockets("bob")] == [set()] * 3


async def test_removal_with_a_lost_delivery_is_detected(running: Running) -> None:
    """By the membership that the next read returns; the socket is notified then."""
    session, [ada, bob] = await room(running, "bob")
    chat = running.bus.chats[UUID(session["id"])]
    running.bus.lost = 1
    number = chat.number()
    chat.session = chat.session.replace(users=["ada"], seq=number)
    running.bus.deliver(
        chat, TypingChanged(session_id=chat.session.id, sender_type="chatbot", sender_id="e", typing=True)
    )
    running.bus.store(session["id"], "secret")
    await ada.hears("message")
    assert await bob.hears("session_deleted") == [{"session_id": session["id"]}]
    assert bob.told("message") == []


async def test_removal_counts_from_the_first_of_its_deliveries(running: Running) -> None:
    """The delivery by user may precede the one by session, which then finds no socket to remove."""
    session, [ada, bob] = await room(running, "bob")
    chat = running.bus.chats[UUID(session["id"])]
    running.bus.tell_gone(chat, {"bob"}, whole=False)
    running.bus.store(session["id"], "secret")
    await ada.hears("message")
    running.bus.change(chat, users=["ada"])
    await bob.hears("session_deleted", 2)
    assert {name for name, _ in bob.heard} - {"presence"} == {"ready", "session_deleted"}


async def test_deleted_session_is_gone_for_all_members(running: Running) -> None:
    """Each socket is notified once, and the session is no longer served."""
    session, [ada, bob] = await room(running, "bob")
    phone = await running.client("ada")
    await ok(ada, "delete_chat", session_id=session["id"])
    for client in (ada, bob, phone):
        assert await client.hears("session_deleted") == [{"session_id": session["id"]}]
    assert running.metric("sessions_served") == 0
    assert await code(ada, "join_chat", session_id=session["id"]) == "not_found"


async def test_deletion_with_lost_deliveries_is_detected(running: Running) -> None:
    """After a gap the newest numbers are asked for, and it has none."""
    session, [ada, _] = await room(running, "bob")
    del running.bus.chats[UUID(session["id"])]
    running.bus.subscription.put("", gap=True)
    assert await ada.hears("session_deleted") == [{"session_id": session["id"]}]
    assert running.metric("sessions_served") == 0


async def test_other_members_learn_of_a_deletion_with_lost_deliveries(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ack notifies only the deleting socket, so the session stays watched for all others."""
    session, [ada, bob] = await room(running, "bob")
    running.bus.lost = 1
    monkeypatch.setattr(running.bus, "tell_gone", lambda *_, **__: None)
    await ok(ada, "delete_chat", session_id=session["id"])
    assert await code(ada, "send_message", session_id=session["id"], content="x") == "not_found"
    assert bob.told("session_deleted") == []
    running.bus.subscription.put("", gap=True)
    assert await bob.hears("session_deleted") == [{"session_id": session["id"]}]
    assert running.metric("sessions_served") == 0


async def test_join_that_read_before_the_removal_shows_nothing(running: Running) -> None:
    """The removal is shown while the answer is on its way."""
    session, [ada, bob] = await room(running, "bob")
    phone = await running.client("bob")

    async def between() -> None:
        running.bus.between = None
        await ok(ada, "remove_user", session_id=session["id"], user_id="bob")
        await bob.hears("session_deleted")

    running.bus.between = between
    assert await code(phone, "join_chat", session_id=session["id"]) in ("not_found", "unavailable")
    running.bus.store(session["id"], "secret")
    await ada.hears("message")
    assert phone.told("message") == []


async def test_join_that_read_before_the_deletion_must_be_repeated(running: Running) -> None:
    """Then there is nothing to join; the answer would have come after the `session_deleted`."""
    session, [ada, bob] = await room(running, "bob")
    phone = await running.client("bob")

    async def between() -> None:
        running.bus.between = None
        await ok(ada, "delete_chat", session_id=session["id"])
        await phone.hears("session_deleted")

    running.bus.between = between
    assert await code(phone, "join_chat", session_id=session["id"]) == "unavailable"
    assert await code(phone, "join_chat", session_id=session["id"]) == "not_found"
    assert await bob.hears("session_deleted")


async def test_partial_deletion_of_a_later_release_is_ignored(running: Running) -> None:
    """A deletion of a membership leaves the session to the remaining members; deltas continue."""
    session, [ada, bob] = await room(running, "bob")
    chat = running.bus.chats[UUID(session["id"])]
    running.bus.deliver(chat, SessionDeleted(session_id=chat.session.id, users=["bob"], whole=False))
    delta = ReplyStreamed(
        session_id=chat.session.id,
        message_id=uuid4(),
        chatbot_id="eliza",
        attempt=1,
        offset=0,
        text="x",
        snapshot=False,
    )
    running.bus.deliver(chat, delta)
    for client in (ada, bob):
        assert await client.hears("message_delta")
