"""Search: words in the messages of one's own sessions, newest first; and what is exported about a user."""

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
from tests.contract.store.desk import NOON, Desk, finish, send


async def search(
    desk: Desk,
    query: str,
    user: str = "ada",
    session_id: UUID | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> SearchResult:
    asked = SearchMessages(user_id=user, query=query, session_id=session_id, cursor=cursor, limit=limit)
    return await desk.ask(asked)  # type: ignore[no-any-return]


async def found(desk: Desk, query: str, **more: object) -> list[str]:
    return [hit.message.content for hit in (await search(desk, query, **more)).hits]  # type: ignore[arg-type]


async def test_words_are_found_in_whatever_form(desk: Desk) -> None:
    """Large or small, as they stand or by their stem; every word of the query must be there."""
    session_id = await desk.session(reply_policy="silent", title="Birds")
    texts = ["The canaries are SINGING", "write to bird@example.com", "Grüße aus Köln", "a singular thing", "100% off"]
    await desk.apply(*(send(session_id, content) for content in texts))
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
        assert sorted(await found(desk, query)) == sorted(texts[n] for n in places), query
    [hit] = (await search(desk, "singing")).hits
    assert (hit.session_title, hit.snippet, hit.message.seq) == ("Birds", "The canaries are SINGING", 1)


async def test_only_own_sessions_are_searched(desk: Desk) -> None:
    """Not those of others, not those left or deleted; one of them alone if that is asked for."""
    mine, shared = await desk.session(reply_policy="silent"), await desk.session("bob", reply_policy="silent")
    await desk.apply(send(mine, "canary mine"), send(shared, "canary shared"))
    assert await found(desk, "canary", user="bob") == ["canary shared"]
    assert await found(desk, "canary", user="eve") == []
    assert sorted(await found(desk, "canary")) == ["canary mine", "canary shared"]
    assert await found(desk, "canary", session_id=mine) == ["canary mine"]
    await desk.do(LeaveSession, shared, "bob")
    assert await found(desk, "canary", user="bob") == []
    for user, session_id in (("bob", mine), ("bob", shared), ("ada", uuid4())):
        with pytest.raises(NotFound):
            await search(desk, "canary", user, session_id)
    await desk.do(DeleteSession, mine)
    assert await found(desk, "canary") == ["canary shared"]


async def test_what_has_changed_is_found_as_it_is(desk: Desk) -> None:
    """Edited words, not the old ones; nothing superseded, nothing erased."""
    session_id = await desk.session("bob", chatbot_ids=["eliza"], title="t")
    await desk.apply(message := send(session_id, "old canary", "bob"))
    await desk.apply(finish(desk.turns[0], "reply canary"))
    await desk.do(EditMessage, session_id, "bob", message_id=message.message_id, content="new canary")
    assert await found(desk, "canary") == ["new canary"]
    assert await found(desk, "old") == []
    await desk.apply(EraseAuthor(session_id=session_id, user_id="bob"))
    assert await found(desk, "canary") == []


async def test_pages_go_from_the_newest_to_the_oldest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hit once, whatever the size of the page; no page is too long; a strange cursor is refused."""
    one, two = await desk.session(reply_policy="silent"), await desk.session(reply_policy="silent")
    for n in range(9):
        content = f"canary {n} " + "x" * 1_000
        await desk.apply(send(one if n % 2 else two, content, created_at=NOON + timedelta(seconds=n // 2)))
    whole = await search(desk, "canary")
    assert whole.next_cursor is None
    moments = [hit.message.created_at for hit in whole.hits]
    assert moments == sorted(moments, reverse=True)
    monkeypatch.setattr(searching, "ROOM", 4_200)
    for limit in (1, 2, 50):
        hits, cursor = [], None
        while True:
            page = await search(desk, "canary", limit=limit, cursor=cursor)
            assert 0 < len(page.hits) <= min(limit, 4)
            hits += page.hits
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [hit.message.id for hit in hits] == [hit.message.id for hit in whole.hits]
    for strange in ("x", "WzFd", "e30", "WyJub25zZW5zZSIsICIxIl0"):
        with pytest.raises(InvalidRequest):
            await search(desk, "canary", cursor=strange)


async def exported(desk: Desk, user: str) -> list[ExportedSession]:
    parts: list[ExportedSession] = []
    cursor = None
    while True:
        page = await desk.ask(ExportUser(user_id=user, cursor=cursor))
        assert len(page.model_dump_json()) <= PAGE_BYTES_MAX
        parts += page.sessions
        cursor = page.next_cursor
        if cursor is None:
            return parts


async def test_an_export_holds_what_the_user_wrote_and_rated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pages; of a session that was left only their own words; nothing of deleted sessions, or of others."""
    monkeypatch.setattr(exporting, "ROWS", 2)
    monkeypatch.setattr(history, "WINDOW", 7)
    mine, left, gone = [await desk.session(title="secret") for _ in range(3)]
    shared = await desk.session("bob", title="shared")
    for n in range(5):
        await desk.apply(send(shared, f"bob {n}", "bob"), send(mine, f"ada {n}"))
        for turn in desk.turns:
            await desk.apply(finish(turn))
    await desk.apply(send(shared, "rate this", "bob"))
    for reply in [m for m in (await desk.join(shared)).messages if m.sender_type == "chatbot"][2:5:2]:
        await desk.do(RateReply, shared, "bob", message_id=reply.id, rating=-1, comment=f"bad {reply.seq}")
        await desk.do(RateReply, shared, "ada", message_id=reply.id, rating=1, comment="good")
    await desk.apply(send(left, "before I go"), send(gone, "gone"))
    await desk.do(DeleteSession, gone)
    parts = await exported(desk, "bob")
    assert {part.session.id for part in parts} == {shared}
    assert [m.content for part in parts for m in part.messages] == [*(f"bob {n}" for n in range(5)), "rate this"]
    rated = [(r["rating"], r["comment"]) for part in parts for r in part.ratings]
    assert rated == [(-1, "bad 7"), (-1, "bad 11")]
    assert {part.session.id for part in await exported(desk, "ada")} == {mine, left, shared}
    assert await exported(desk, "eve") == []
    await desk.do(LeaveSession, shared, "bob")
    parts = await exported(desk, "bob")
    assert {(part.former, part.session.title, *part.session.users) for part in parts} == {(True, None, "bob")}
    assert len([m for part in parts for m in part.messages]) == 6
    with pytest.raises(InvalidRequest):
        await desk.ask(ExportUser(user_id="ada", cursor="x"))


async def test_a_long_history_is_exported_in_pages(desk: Desk) -> None:
    """No page is over 512 KiB, and nothing is left out."""
    session_id = await desk.session(reply_policy="silent")
    await desk.apply(*(send(session_id, "ä" * 15_000 + str(n)) for n in range(30)))
    parts = await exported(desk, "ada")
    assert [m.seq for part in parts for m in part.messages] == list(range(1, 31))
    assert len(parts) > 1
