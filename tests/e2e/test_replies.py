"""Stop, regenerate, rate and edit, also while a reply streams (contract.md §3.3)."""

from __future__ import annotations

import pytest

from tests.e2e.rooms import Session, ascend, devices, messages, register, room, wait_for_messages
from tests.support.client import Account, Device
from tests.support.stack import Stack

WORDS = " ".join(f"word{n}" for n in range(1_500))  # 15 seconds of `echo`, unless it is stopped


@pytest.fixture(scope="module")
def people(stack: Stack) -> list[Account]:
    """Two members and a user outside of the session."""
    return register(stack, 3)


async def streaming(device: Device, session: Session, content: str = WORDS) -> tuple[str, str]:
    """Send a message and wait for the first delta; returns the ids of the message and its reply."""
    asked = await device.send(session, content)
    seen = len(device.events)
    delta = await device.until("message_delta", lambda d: d in [p for _, p in device.events[seen:]])
    return asked, str(delta["message_id"])


async def test_any_member_stops_a_reply(stack: Stack, people: list[Account]) -> None:
    """The partial text is stored. Stopping a second time or after the end changes nothing."""
    async with devices(stack, people) as [ada, bob, eve]:
        session = await room(ada, bob)
        asked, reply_id = await streaming(ada, session)
        about = {"session_id": session["id"], "message_id": reply_id}
        assert await eve.error("stop_reply", about) == "not_found"
        await bob.ok("stop_reply", **about)
        reply = await ada.until("message", lambda m: m["id"] == reply_id)
        assert (reply["status"], reply["reply_to"], reply["error"]) == ("stopped", asked, None)
        assert WORDS.startswith(reply["content"])
        assert 0 < len(reply["content"]) < len(WORDS)
        await bob.ok("stop_reply", **about)
        assert await ada.error("stop_reply", {**about, "message_id": asked}) == "not_found"
        again = await ada.reply_to(await ada.send(session, "and on"))
        assert (again["content"], again["status"]) == ("and on", "complete")
        late = [d for d in ada.received("message_delta", session=session) if d[1]["message_id"] == reply_id]
        assert ada.events.index(late[-1]) < ada.events.index(("message", reply)), "a delta arrived after the end"
        assert (await ada.history(session))[1] == reply
        assert ascend(ada, session)


async def test_regenerated_reply_supersedes_the_old_one(stack: Stack, people: list[Account]) -> None:
    """The old reply keeps its number and names its successor; a repeated request returns that successor."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob)
        first = await ada.reply_to(await ada.send(session, "tell me"))
        about = {"session_id": session["id"], "message_id": first["id"]}
        new_id = (await bob.ok("regenerate_reply", **about))["message_id"]
        old = await ada.until("message_updated", lambda m: m["id"] == first["id"])
        assert (old["superseded_by"], old["seq"], old["content"]) == (new_id, first["seq"], "tell me")
        assert old["updated_seq"] > first["updated_seq"]
        new = await ada.until("message", lambda m: m["id"] == new_id)
        assert (new["content"], new["reply_to"], new["superseded_by"]) == ("tell me", first["reply_to"], None)
        assert (await ada.ok("regenerate_reply", **about))["message_id"] == new_id
        assert await ada.error("regenerate_reply", {**about, "message_id": first["reply_to"]}) == "not_found"
        assert [m["id"] for m in await bob.history(session)] == [first["reply_to"], first["id"], new_id]
        assert ascend(bob, session)


async def test_stopped_reply_is_regenerated_but_streaming_reply_is_not(stack: Stack, people: list[Account]) -> None:
    async with devices(stack, people[:1]) as [ada]:
        session = await room(ada)
        _, reply_id = await streaming(ada, session)
        about = {"session_id": session["id"], "message_id": reply_id}
        assert await ada.error("regenerate_reply", about) == "conflict"
        await ada.ok("stop_reply", **about)
        await ada.until("message", lambda m: m["id"] == reply_id)
        new_id = (await ada.ok("regenerate_reply", **about))["message_id"]
        await ada.until("message_delta", lambda d: d["message_id"] == new_id)
        await ada.ok("stop_reply", session_id=session["id"], message_id=new_id)
        assert (await ada.until("message", lambda m: m["id"] == new_id))["status"] == "stopped"


async def test_edit_stops_and_supersedes_the_streaming_reply(stack: Stack, people: list[Account]) -> None:
    """The new text is answered."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob)
        asked, reply_id = await streaming(ada, session)
        about = {"session_id": session["id"], "message_id": asked}
        assert await bob.error("edit_message", {**about, "content": "not mine"}) == "forbidden"
        await ada.ok("edit_message", **about, content="better words")
        for device in (ada, bob):
            edited = await device.until("message_updated", lambda m: m["id"] == asked)
            assert (edited["content"], edited["seq"]) == ("better words", 2)
            reply = await device.until("message", lambda m: m["content"] == "better words")
            assert (reply["sender_type"], reply["reply_to"], reply["status"]) == ("chatbot", asked, "complete")
            [_, old, new] = await wait_for_messages(device, session, 3)
            assert (old["id"], old["status"], old["superseded_by"]) == (reply_id, "stopped", new["id"])
            assert new["id"] == reply["id"]
            assert ascend(device, session)
        assert await ada.history(session) == messages(ada, session)


async def test_only_the_last_message_of_its_author_can_be_edited(stack: Stack, people: list[Account]) -> None:
    """Its reply is superseded and regenerated; an edit with the same text changes nothing."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob)
        first = await ada.send(session, "first")
        await ada.reply_to(first)
        last = await ada.send(session, "second")
        old = await ada.reply_to(last)
        await bob.reply_to(await bob.send(session, "another user's"))
        about = {"session_id": session["id"], "message_id": last}
        assert await ada.error("edit_message", {**about, "message_id": first, "content": "x"}) == "conflict"
        assert await ada.error("edit_message", {**about, "message_id": old["id"], "content": "x"}) == "forbidden"
        assert await ada.error("edit_message", {**about, "content": " "}) == "invalid_request"
        for _ in range(2):
            await ada.ok("edit_message", **about, content="other words")
        new = await bob.until("message", lambda m: m["sender_type"] == "chatbot" and m["content"] == "other words")
        superseded = await bob.until("message_updated", lambda m: m["id"] == old["id"])
        assert superseded["superseded_by"] == new["id"]
        assert len(await ada.history(session)) == 7
        assert ascend(ada, session)


async def test_resume_returns_each_updated_message_once_in_its_current_state(
    stack: Stack, people: list[Account]
) -> None:
    """Updated messages are returned under their later numbers, for every cursor."""
    async with devices(stack, people[:1]) as [ada]:
        session = await room(ada)
        first = await ada.send(session, "one")
        reply = await ada.reply_to(first)
        await ada.ok("edit_message", session_id=session["id"], message_id=first, content="one, edited")
        await ada.until("message", lambda m: m["content"] == "one, edited")
        now = {m["id"]: m for m in await wait_for_messages(ada, session, 3)}
        for cursor in range(5):
            missed = await ada.ok("join_chat", session_id=session["id"], after_seq=cursor)
            changed = [m["updated_seq"] for m in missed["messages"]]
            assert changed == sorted(n for m in now.values() if (n := m["updated_seq"]) > cursor)
            assert all(m == now[m["id"]] for m in missed["messages"])
        assert now[reply["id"]]["superseded_by"] is not None


async def test_members_rate_replies(stack: Stack, people: list[Account]) -> None:
    """Only members rate, and only replies; no event is sent."""
    async with devices(stack, [people[0], people[2]]) as [ada, eve]:
        session = await room(ada)
        asked = await ada.send(session, "how was I")
        reply = await ada.reply_to(asked)
        about = {"session_id": session["id"], "message_id": reply["id"]}
        for rating, comment in ((1, "good"), (-1, None), (0, "")):
            await ada.ok("rate_reply", **about, rating=rating, comment=comment)
        assert await ada.error("rate_reply", {**about, "rating": 2}) == "invalid_request"
        assert await ada.error("rate_reply", {**about, "message_id": asked, "rating": 1}) == "not_found"
        assert await eve.error("rate_reply", {**about, "rating": 1}) == "not_found"
        assert (await ada.ok("join_chat", session_id=session["id"], after_seq=0))["last_seq"] == 2
