"""Presence, typing and read marks in sessions with several members."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from chat_gateway.deliveries import session_deliveries
from chat_gateway.sessions import presence
from shared.contracts.events import PeoplePresent
from tests.integration.chat_gateway.conftest import Client, Running, start_chat
from tests.integration.chat_gateway.rooms import ok, room
from tests.support.waiting import until


def present(client: Client) -> list[str]:
    """The present users, as last received by the client."""
    told: list[dict[str, list[str]]] = client.told("presence")
    return told[-1]["users"] if told else []


async def test_presence_is_shown_to_joined_sockets(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """To joined sockets, immediately on joining; viewers do not count, and a session with one member has none."""
    monkeypatch.setattr(presence, "ANNOUNCE_EVERY", 0.1)
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


async def test_presence_of_other_gateways_expires_without_repetition(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is answered, changes are announced, and a dead gateway expires."""
    monkeypatch.setattr(presence, "ANNOUNCE_EVERY", 0.1)
    monkeypatch.setattr(presence, "REPEAT_EVERY", 0.1)
    monkeypatch.setattr(presence, "EXPIRES_AFTER", 2.0)
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


async def test_typing_and_read_are_paced_and_the_last_one_is_shown(running: Running) -> None:
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
        most = 2 + (time.monotonic() - began) // session_deliveries.SHOW_EVERY  # ten without pacing
        typing, read = client.told("typing"), client.told("read")
        assert max(len(typing), len(read)) <= most
        assert typing[0] == {"session_id": session["id"], "sender_type": "user", "sender_id": "bob", "typing": True}
        assert read[0] == {"session_id": session["id"], "user_id": "bob", "seq": 0}
