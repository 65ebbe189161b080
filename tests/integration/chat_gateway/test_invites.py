"""Invites and permissions in sessions with several members."""

from __future__ import annotations

from uuid import uuid4

import pytest

from chat_gateway.protocol import payloads
from shared.contracts import commands
from tests.integration.chat_gateway.conftest import Running
from tests.integration.chat_gateway.rooms import code, room


async def test_invite_admits_a_user_and_joins_the_socket(running: Running) -> None:
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
async def test_text_that_is_not_an_invite_is_not_found(running: Running, invite: str) -> None:
    assert await code(await running.client("bob"), "accept_invite", invite=invite) == "not_found"


async def test_every_change_is_not_found_for_foreign_and_missing_sessions(running: Running) -> None:
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


async def test_owner_events_are_forbidden_to_members(running: Running) -> None:
    session, [_, bob] = await room(running, "bob")
    for event, more in {
        "delete_chat": {},
        "add_chatbot": {"chatbot_id": "echo"},
        "remove_chatbot": {"chatbot_id": "eliza"},
        "create_invite": {},
        "remove_user": {"user_id": "ada"},
    }.items():
        assert await code(bob, event, session_id=session["id"], **more) == "forbidden"


async def test_foreign_user_cannot_stop_a_reply(running: Running) -> None:
    """No worker is notified before the membership is known."""
    session, _ = await room(running)
    eve = await running.client("eve")
    assert await code(eve, "stop_reply", session_id=session["id"], message_id=str(uuid4())) == "not_found"
    assert running.bus.streamed == []
