"""Search in the messages of a user's sessions, and the export of a user's data."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from persistence_worker.reads import exporting, searching
from persistence_worker.storage import history
from shared.contracts.commands import DeleteSession, EditMessage, EraseAuthor, LeaveSession, RateReply
from shared.contracts.queries import ExportedSession, ExportUser, SearchMessages, SearchResult
from shared.contracts.views import PAGE_BYTES_MAX
from shared.errors import InvalidRequest, NotFound
from tests.contract.store.harness import StoreHarness
from tests.support.commands import NOON, finish, send


async def search(
    store: StoreHarness,
    query: str,
    user: str = "ada",
    session_id: UUID | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> SearchResult:
    asked = SearchMessages(user_id=user, query=query, session_id=session_id, cursor=cursor, limit=limit)
    return await store.ask(asked)  # type: ignore[no-any-return]


async def found(store: StoreHarness, query: str, **more: object) -> list[str]:
    return [hit.message.content for hit in (await search(store, query, **more)).hits]  # type: ignore[arg-type]


async def test_words_match_by_stem_in_any_case(store: StoreHarness) -> None:
    """A message must contain every word of the query."""
    session_id = await store.session(reply_policy="silent", title="Birds")
    texts = ["The canaries are SINGING", "write to bird@example.com", "Grüße aus Köln", "a singular thing", "100% off"]
    await store.apply(*(send(session_id, content) for content in texts))
    for query, places in {
        "singing": [0],
        "sing": [0],
        "the": [0],
        "canary sings": [0],
        "canaries thing": [],
        "example": [1],
        "bird@example.com": [1],
        "KÖLN grüße": [2],
        "100": [4],
        "nothing": [],
        "% _ *": [],
        "'\" & | ! ( ) : *": [],
        "sing OR thing": [],
        "content:sing": [],
    }.items():
        assert sorted(await found(store, query)) == sorted(texts[n] for n in places), query
    [hit] = (await search(store, "singing")).hits
    assert (hit.session_title, hit.snippet, hit.message.seq) == ("Birds", "The canaries are SINGING", 1)


async def test_only_sessions_of_the_user_are_searched(store: StoreHarness) -> None:
    """Not former or deleted ones; a single session on request."""
    mine, shared = await store.session(reply_policy="silent"), await store.session("bob", reply_policy="silent")
    await store.apply(send(mine, "canary mine"), send(shared, "canary shared"))
    assert await found(store, "canary", user="bob") == ["canary shared"]
    assert await found(store, "canary", user="eve") == []
    assert sorted(await found(store, "canary")) == ["canary mine", "canary shared"]
    assert await found(store, "canary", session_id=mine) == ["canary mine"]
    await store.do(LeaveSession, shared, "bob")
    assert await found(store, "canary", user="bob") == []
    for user, session_id in (("bob", mine), ("bob", shared), ("ada", uuid4())):
        with pytest.raises(NotFound):
            await search(store, "canary", user, session_id)
    await store.do(DeleteSession, mine)
    assert await found(store, "canary") == ["canary shared"]


async def test_only_the_present_content_is_found(store: StoreHarness) -> None:
    """Not the old text of an edited message, and no superseded or erased message."""
    session_id = await store.session("bob", chatbot_ids=["eliza"], title="t")
    await store.apply(message := send(session_id, "old canary", "bob"))
    await store.apply(finish(store.turns[0], "reply canary"))
    await store.do(EditMessage, session_id, "bob", message_id=message.message_id, content="new canary")
    assert await found(store, "canary") == ["new canary"]
    assert await found(store, "old") == []
    await store.apply(EraseAuthor(session_id=session_id, user_id="bob"))
    assert await found(store, "canary") == []


async def test_pages_of_hits_are_ordered_from_the_newest(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hit once, for every page size; pages are bounded; an invalid cursor is refused."""
    one, two = await store.session(reply_policy="silent"), await store.session(reply_policy="silent")
    for n in range(9):
        content = f"canary {n} " + "x" * 1_000
        await store.apply(send(one if n % 2 else two, content, created_at=NOON + timedelta(seconds=n // 2)))
    whole = await search(store, "canary")
    assert whole.next_cursor is None
    moments = [hit.message.created_at for hit in whole.hits]
    assert moments == sorted(moments, reverse=True)
    monkeypatch.setattr(searching, "ROOM", 4_200)
    for limit in (1, 2, 50):
        hits, cursor = [], None
        while True:
            page = await search(store, "canary", limit=limit, cursor=cursor)
            assert 0 < len(page.hits) <= min(limit, 4)
            hits += page.hits
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [hit.message.id for hit in hits] == [hit.message.id for hit in whole.hits]
    for strange in ("x", "WzFd", "e30", "WyJub25zZW5zZSIsICIxIl0"):
        with pytest.raises(InvalidRequest):
            await search(store, "canary", cursor=strange)


async def exported(store: StoreHarness, user: str) -> list[ExportedSession]:
    parts: list[ExportedSession] = []
    cursor = None
    while True:
        page = await store.ask(ExportUser(user_id=user, cursor=cursor))
        assert len(page.to_json()) <= PAGE_BYTES_MAX
        parts += page.sessions
        cursor = page.next_cursor
        if cursor is None:
            return parts


async def test_export_has_the_messages_and_ratings_of_the_user(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages; of a former session only the user's own messages; nothing of deleted sessions or other users."""
    monkeypatch.setattr(exporting, "ROWS", 2)
    monkeypatch.setattr(history, "WINDOW", 7)
    mine, left, gone = [await store.session(title="secret") for _ in range(3)]
    shared = await store.session("bob", title="shared")
    for n in range(5):
        await store.apply(send(shared, f"bob {n}", "bob"), send(mine, f"ada {n}"))
        for turn in store.turns:
            await store.apply(finish(turn))
    await store.apply(send(shared, "rate this", "bob"))
    for reply in [m for m in (await store.join(shared)).messages if m.sender_type == "chatbot"][2:5:2]:
        await store.do(RateReply, shared, "bob", message_id=reply.id, rating=-1, comment=f"bad {reply.seq}")
        await store.do(RateReply, shared, "ada", message_id=reply.id, rating=1, comment="good")
    await store.apply(send(left, "before I go"), send(gone, "gone"))
    await store.do(DeleteSession, gone)
    parts = await exported(store, "bob")
    assert {part.session.id for part in parts} == {shared}
    assert [m.content for part in parts for m in part.messages] == [*(f"bob {n}" for n in range(5)), "rate this"]
    rated = [(r["rating"], r["comment"]) for part in parts for r in part.ratings]
    assert rated == [(-1, "bad 7"), (-1, "bad 11")]
    assert {part.session.id for part in await exported(store, "ada")} == {mine, left, shared}
    assert await exported(store, "eve") == []
    await store.do(LeaveSession, shared, "bob")
    parts = await exported(store, "bob")
    assert {(part.former, part.session.title, *part.session.users) for part in parts} == {(True, None, "bob")}
    assert len([m for part in parts for m in part.messages]) == 6
    with pytest.raises(InvalidRequest):
        await store.ask(ExportUser(user_id="ada", cursor="x"))


async def test_long_history_is_exported_in_bounded_pages(store: StoreHarness) -> None:
    """No page exceeds 512 KiB, and nothing is left out."""
    session_id = await store.session(reply_policy="silent")
    await store.apply(*(send(session_id, "ä" * 15_000 + str(n)) for n in range(30)))
    parts = await exported(store, "ada")
    assert [m.seq for part in parts for m in part.messages] == list(range(1, 31))
    assert len(parts) > 1
