"""Search in the sessions of the user (contract.md §3.3)."""

from __future__ import annotations

import secrets

import pytest

from tests.e2e.rooms import devices, register, room
from tests.support.client import Account
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def people(stack: Stack) -> list[Account]:
    return register(stack, 2)


async def test_search_covers_only_sessions_of_the_user(stack: Stack, people: list[Account]) -> None:
    """Finds messages and replies, newest first, by pages."""
    word = f"needle{secrets.token_hex(4)}"
    async with devices(stack, people) as [ada, bob]:
        mine, ours = await room(ada, title="Mine"), await room(ada, bob, title="Ours")
        for session in (mine, ours):
            await ada.reply_to(await ada.send(session, f"Where is the {word} in this haystack?"))
        found = await ada.ok("search_messages", query=word.upper())
        assert [hit["session_title"] for hit in found["hits"]] == ["Ours", "Ours", "Mine", "Mine"]
        assert [hit["message"]["sender_type"] for hit in found["hits"]] == ["chatbot", "user"] * 2
        assert all(word in hit["snippet"] for hit in found["hits"])
        assert found["next_cursor"] is None
        hits, cursor = [], None
        for _ in range(4):
            page = await ada.ok("search_messages", query=word, limit=1, cursor=cursor)
            hits, cursor = [*hits, *page["hits"]], page["next_cursor"]
        assert hits == found["hits"]
        theirs = await bob.ok("search_messages", query=word)
        assert {hit["message"]["session_id"] for hit in theirs["hits"]} == {ours["id"]}
        one = await ada.ok("search_messages", query=word, session_id=mine["id"])
        assert {hit["message"]["session_id"] for hit in one["hits"]} == {mine["id"]}
        for session_id in (mine["id"], "00000000-0000-4000-8000-000000000000"):
            assert await bob.error("search_messages", {"query": word, "session_id": session_id}) == "not_found"
        await bob.ok("leave_session", session_id=ours["id"])
        assert (await bob.ok("search_messages", query=word))["hits"] == []


async def test_search_finds_edited_text_only(stack: Stack, people: list[Account]) -> None:
    before, after = (f"word{secrets.token_hex(4)}" for _ in range(2))
    async with devices(stack, people[:1]) as [ada]:
        session = await room(ada, reply_policy="silent")
        asked = await ada.send(session, f"once {before}")
        await ada.until("message", lambda m: m["id"] == asked)
        await ada.ok("edit_message", session_id=session["id"], message_id=asked, content=f"now {after}")
        assert (await ada.ok("search_messages", query=before))["hits"] == []
        [hit] = (await ada.ok("search_messages", query=after))["hits"]
        assert hit["message"]["id"] == asked


async def test_any_query_text_is_valid(stack: Stack, people: list[Account]) -> None:
    """No text has a special meaning for the search."""
    async with devices(stack, people[:1]) as [ada]:
        for query in ('"', "a' OR 1=1 --", "NEAR(", "* -x", "%_\\", "((", "🙂", "a:*", "\u200b", " "):
            assert isinstance((await ada.ok("search_messages", query=query))["hits"], list)
