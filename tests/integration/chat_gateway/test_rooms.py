"""Rooms on a scripted bus: who may do what, who is told, and that nothing more comes to who has gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from chat_gateway import attendance, calls, payloads, session_events
from shared.contracts import commands
from shared.contracts.events import PeoplePresent, ReplyStreamed, SessionDeleted, TypingChanged
from shared.contracts.topology import CONTROL
from shared.contracts.turns import StopTurn
from shared.errors import Unavailable
from tests.integration.chat_gateway.conftest import Client, Running, start_chat, until

Session = dict[str, Any]


async def ok(client: Client, event: str, **payload: Any) -> dict[str, Any]:
    ack = await client.call(event, payload, timeout=20)
    assert ack["ok"], (event, ack)
    return ack


async def code(client: Client, event: str, **payload: Any) -> str:
    ack = await client.call(event, payload, timeout=20)
    assert not ack["ok"], (event, ack)
    return ack["error"]["code"]


async def room(running: Running, *others: str) -> tuple[Session, list[Client]]:
    """A session of ada's that the others have come into by an invite; all have joined."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    clients = [ada]
    for user in others:
        invite = (await ok(ada, "create_invite", session_id=session["id"]))["invite"]
        clients.append(await running.client(user))
        session = (await ok(clients[-1], "accept_invite", invite=invite))["session"]
    return session, clients


async def test_an_invite_lets_somebody_in_and_joins_the_socket(running: Running) -> None:
    """Its secret stays between the two: the log sees a hash."""
    session, [ada, bob] = await room(running, "bob")
    assert session["users"] == ["ada", "bob"]
    asked = next(each for each in running.bus.logged if isinstance(each, commands.CreateInvite))
    used = next(each for each in running.bus.logged if isinstance(each, commands.AcceptInvite))
    assert asked.invite_hash == used.invite_hash
    assert asked.max_uses is None
    running.bus.store(session["id"], "welcome")
    for client in (ada, bob):
        assert [message["content"] for message in await client.hears("message")] == ["welcome"]
    assert [s["users"] for s in ada.told("session_updated") if s["seq"]] == [["ada", "bob"]]
    assert [s for s in bob.told("session_updated") if s["seq"]] == []  # that is what the ack said


@pytest.mark.parametrize("invite", ["x", "A" * 64, "ä", "A" * 64 + "\n"])
async def test_what_is_no_invite_is_not_found(running: Running, invite: str) -> None:
    assert await code(await running.client("bob"), "accept_invite", invite=invite) == "not_found"


async def test_every_change_says_not_found_to_strangers_and_not_found_of_nothing(running: Running) -> None:
    """Word for word the same."""
    session, [ada] = await room(running)
    eve = await running.client("eve")
    message = running.bus.store(session["id"], "x")
    fields = {
        "chatbot_id": "eliza",
        "user_id": "ada",
        "message_id": str(message.id),
        "content": "y",
        "rating": 1,
        "typing": True,
        "seq": 1,
        "title": "mine",
        "query": "x",
    }
    events = [n for n, p in payloads.CLIENT_EVENTS.items() if issubclass(p, payloads.InSession)]
    for event in [*events, "search_messages"]:
        foreign = await eve.call(event, {"session_id": session["id"], **fields})
        missing = await eve.call(event, {"session_id": str(uuid4()), **fields})
        assert foreign == missing, event
        assert foreign["error"]["code"] == "not_found", event
    assert ada.told("typing") == ada.told("read") == ada.told("message_updated") == []


async def test_what_only_the_owner_may_do(running: Running) -> None:
    session, [_, bob] = await room(running, "bob")
    for event, more in {
        "delete_chat": {},
        "add_chatbot": {"chatbot_id": "echo"},
        "remove_chatbot": {"chatbot_id": "eliza"},
        "create_invite": {},
        "remove_user": {"user_id": "ada"},
    }.items():
        assert await code(bob, event, session_id=session["id"], **more) == "forbidden"


async def test_changes_of_a_session_are_acked_and_shown(running: Running) -> None:
    """To who has joined, each once, ascending."""
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


@pytest.mark.parametrize("how", ["leave_session", "remove_user"])
async def test_who_is_no_member_any_more_receives_nothing_from_that_moment(running: Running, how: str) -> None:
    """Nothing stored, streamed or typed; they are told once, on each of their sockets, joined or not."""
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
    assert [socket.joined for socket in running.server._doorkeeper._presence.sockets("bob")] == [set()] * 3


async def test_a_removal_whose_delivery_was_lost_is_found_out(running: Running) -> None:
    """By the membership that the next read shows; the socket is told then."""
    session, [ada, bob] = await room(running, "bob")
    chat = running.bus.chats[UUID(session["id"])]
    running.bus.lost = 1
    number = chat.number()
    chat.session = chat.session.model_copy(update={"users": ["ada"], "seq": number})
    running.bus.deliver(
        chat, TypingChanged(session_id=chat.session.id, sender_type="chatbot", sender_id="e", typing=True)
    )
    running.bus.store(session["id"], "secret")
    await ada.hears("message")
    assert await bob.hears("session_deleted") == [{"session_id": session["id"]}]
    assert bob.told("message") == []


async def test_a_removal_counts_from_whichever_delivery_comes_first(running: Running) -> None:
    """The user's own may overtake the session's, which then finds nobody left to cut off."""
    session, [ada, bob] = await room(running, "bob")
    chat = running.bus.chats[UUID(session["id"])]
    running.bus.tell_gone(chat, {"bob"}, whole=False)
    running.bus.store(session["id"], "secret")
    await ada.hears("message")
    running.bus.change(chat, users=["ada"])
    await bob.hears("session_deleted", 2)
    assert {name for name, _ in bob.heard} - {"presence"} == {"ready", "session_deleted"}


async def test_a_deleted_session_is_gone_for_all(running: Running) -> None:
    """Each socket is told once; it is served no more."""
    session, [ada, bob] = await room(running, "bob")
    phone = await running.client("ada")
    await ok(ada, "delete_chat", session_id=session["id"])
    for client in (ada, bob, phone):
        assert await client.hears("session_deleted") == [{"session_id": session["id"]}]
    assert running.metric("sessions_served") == 0
    assert await code(ada, "join_chat", session_id=session["id"]) == "not_found"


async def test_a_deletion_whose_deliveries_were_lost_is_found_out(running: Running) -> None:
    """After a gap the newest numbers are asked for, and it has none."""
    session, [ada, _] = await room(running, "bob")
    del running.bus.chats[UUID(session["id"])]
    running.bus.subscription.put("", gap=True)
    assert await ada.hears("session_deleted") == [{"session_id": session["id"]}]
    assert running.metric("sessions_served") == 0


async def test_a_neighbour_hears_of_a_deletion_whose_deliveries_were_lost(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ack tells only who has deleted it: for everybody else the session is watched."""
    session, [ada, bob] = await room(running, "bob")
    running.bus.lost = 1
    monkeypatch.setattr(running.bus, "tell_gone", lambda *_, **__: None)
    await ok(ada, "delete_chat", session_id=session["id"])
    assert await code(ada, "send_message", session_id=session["id"], content="x") == "not_found"
    assert bob.told("session_deleted") == []
    running.bus.subscription.put("", gap=True)
    assert await bob.hears("session_deleted") == [{"session_id": session["id"]}]
    assert running.metric("sessions_served") == 0


async def test_a_join_that_read_before_the_removal_shows_nothing(running: Running) -> None:
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


async def test_a_join_that_read_before_the_deletion_has_to_be_made_again(running: Running) -> None:
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


async def test_updates_come_in_their_place(running: Running) -> None:
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


async def test_strangers_stop_nothing(running: Running) -> None:
    """No worker is told before membership is known."""
    session, _ = await room(running)
    eve = await running.client("eve")
    assert await code(eve, "stop_reply", session_id=session["id"], message_id=str(uuid4())) == "not_found"
    assert running.bus.streamed == []


async def test_changes_keep_their_place_among_messages(running: Running) -> None:
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


async def test_a_change_that_nobody_answers_holds_up_no_message(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_the_broker_away_is_unavailable_for_each(running: Running) -> None:
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


async def test_typing_and_read_are_shown_once_a_second_and_the_last_one_always(running: Running) -> None:
    """To all who have joined; nothing of it is stored."""
    session, [ada, bob] = await room(running, "bob")
    running.bus.store(session["id"], "x")
    await bob.hears("message")
    began = time.monotonic()
    for number in range(10):
        await ok(bob, "set_typing", session_id=session["id"], typing=number < 9)
        await ok(bob, "mark_read", session_id=session["id"], seq=max(0, number - 8))
    for client in (ada, bob):
        await until(lambda client=client: [each["typing"] for each in client.told("typing")[-1:]] == [False])
        await until(lambda client=client: [each["seq"] for each in client.told("read")[-1:]] == [1])
        most = 2 + (time.monotonic() - began) // session_events.SHOWN_EVERY  # ten, if nobody counted
        typing, read = client.told("typing"), client.told("read")
        assert max(len(typing), len(read)) <= most
        assert typing[0] == {"session_id": session["id"], "sender_type": "user", "sender_id": "bob", "typing": True}
        assert read[0] == {"session_id": session["id"], "user_id": "bob", "seq": 0}


def present(client: Client) -> list[str]:
    """Who is there, as the client was last told."""
    told: list[dict[str, list[str]]] = client.told("presence")
    return told[-1]["users"] if told else []


async def test_who_is_there_is_shown(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """To who has joined, at once to who comes; nobody who only looks on counts, and one person alone is told nothing."""
    monkeypatch.setattr(attendance, "TOLD_EVERY", 0.1)
    await gateway.start()
    running = gateway
    session, [ada, bob] = await room(running, "bob")
    both = {"session_id": session["id"], "users": ["ada", "bob"]}
    for client in (ada, bob):
        await until(lambda client=client: present(client) == ["ada", "bob"])
    phone = await running.client("ada")
    await ok(phone, "join_chat", session_id=session["id"])
    assert await phone.hears("presence") == [both]
    await ok(bob, "leave_chat", session_id=session["id"])
    await until(lambda: present(ada) == ["ada"])
    alone = await start_chat(ada)
    await ok(phone, "join_chat", session_id=alone["id"])
    assert alone["id"] not in [each["session_id"] for each in phone.told("presence")]


async def test_who_is_there_by_other_gateways_is_shown_until_they_fall_silent(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that asks is answered, and tells its changes; one that has died is missed."""
    monkeypatch.setattr(attendance, "TOLD_EVERY", 0.1)
    monkeypatch.setattr(attendance, "SAID_AGAIN_EVERY", 0.1)
    monkeypatch.setattr(attendance, "OVER_AFTER", 2.0)
    await gateway.start()
    session, [ada, bob] = await room(gateway, "bob")
    await bob.disconnect()
    await until(lambda: present(ada) == ["ada"])
    chat = gateway.bus.chats[UUID(session["id"])]

    def say(*users: str, ask: bool = False) -> None:
        said = PeoplePresent(session_id=chat.session.id, gateway="other", users=list(users), ask=ask)
        gateway.bus.deliver(chat, said)

    gateway.bus.streamed.clear()
    say("bob", "stranger", ask=True)
    await until(lambda: present(ada) == ["ada", "bob"])
    own = [said for _, said in gateway.bus.streamed if isinstance(said, PeoplePresent)]
    assert own
    assert {(tuple(said.users), said.ask) for said in own} == {(("ada",), False)}
    say()
    await until(lambda: present(ada) == ["ada"])
    say("bob")
    await until(lambda: present(ada) == ["ada", "bob"])
    await until(lambda: present(ada) == ["ada"])


async def test_every_event_has_somebody_who_does_it(running: Running) -> None:
    done = {payloads.SendMessage, *running.events._handlers}
    assert done == set(payloads.CLIENT_EVENTS.values())


async def test_search_passes_through(running: Running) -> None:
    session, [ada] = await room(running)
    running.bus.store(session["id"], "a needle")
    found = await ok(ada, "search_messages", query="needle", session_id=session["id"])
    assert [hit["message"]["content"] for hit in found["hits"]] == ["a needle"]
    assert found["next_cursor"] is None
    assert (await ok(ada, "search_messages", query="hay"))["hits"] == []


async def test_a_delivery_of_a_later_release_harms_nobody(running: Running) -> None:
    """A deletion that is not whole leaves the session to the others; deltas go on."""
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
