"""Queries: pages, cursors, and membership."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from persistence_worker.reads import cursors
from persistence_worker.storage.tables import chat_messages, chat_sessions
from shared.contracts import queries as q
from shared.contracts.views import PAGE_BYTES_MAX
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable
from tests.contract.store.harness import StoreHarness
from tests.support.commands import ADA, NOON, card, finish, send, start


async def filled(store: StoreHarness, count: int, content: str = "") -> UUID:
    """Create a silent session with `count` messages, numbered from 1."""
    session_id = await store.session(reply_policy="silent")
    await store.apply(*(send(session_id, content or str(n + 1)) for n in range(count)))
    return session_id


def history(session_id: UUID, limit: int = 50, **more: int) -> q.ReadHistory:
    place: dict[str, int | None] = {"before_seq": None, "after_seq": None}
    return q.ReadHistory(user_id=ADA, session_id=session_id, limit=limit, **(place | more))


async def test_join_returns_the_newest_page(store: StoreHarness) -> None:
    """Ascending; `has_more` is true if there are older messages; `last_seq` is the session's."""
    session_id = await filled(store, 10)
    page = await store.join(session_id, limit=4)
    assert [m.seq for m in page.messages] == [7, 8, 9, 10]
    assert (page.has_more, page.last_seq, page.session.read_seq) == (True, 10, 0)
    assert not (await store.join(session_id, limit=10)).has_more


async def test_joins_after_a_cursor_return_each_message_once(store: StoreHarness) -> None:
    """Up to `last_seq`, which is the session's own on the last page."""
    session_id = await store.session()
    for n in range(5):
        await store.turn(session_id, str(n))  # 1 message, 2 reply, 3 title, 4 message …
    seen, after, pages = [], 0, 0
    while True:
        page = await store.join(session_id, after=after, limit=2)
        seen += [m.seq for m in page.messages]
        after, pages = page.last_seq, pages + 1
        if not page.has_more:
            break
        assert page.last_seq == page.messages[-1].updated_seq
    assert seen == [1, 2, *range(4, 12)]
    assert (after, pages) == (11, 5)
    assert (await store.join(session_id, after=11)).messages == []


async def test_last_page_includes_the_number_of_a_change_of_the_session(store: StoreHarness) -> None:
    """A cursor at that number is no conflict."""
    session_id = await store.session()
    await store.turn(session_id)
    page = await store.join(session_id, after=2)
    assert (page.messages, page.last_seq, page.session.seq, page.has_more) == ([], 3, 3, False)
    assert (await store.join(session_id, after=3)).last_seq == 3


async def test_changed_message_is_returned_once_under_its_later_number(store: StoreHarness) -> None:
    """Ordered by `updated_seq`."""
    session_id = await filled(store, 3)
    first = (await store.join(session_id)).messages[0].id
    await store.database.write(
        lambda c: (
            c.execute(update(chat_messages).where(chat_messages.c.id == first).values(updated_seq=4)),
            c.execute(update(chat_sessions).values(last_seq=4)),
        )
    )
    page = await store.join(session_id, after=1)
    assert [(m.seq, m.updated_seq) for m in page.messages] == [(2, 2), (3, 3), (1, 4)]


async def test_cursor_above_the_newest_number_is_a_conflict(store: StoreHarness) -> None:
    session_id = await filled(store, 3)
    with pytest.raises(Conflict):
        await store.join(session_id, after=4)


async def test_open_turns_are_returned_until_their_reply_is_stored(store: StoreHarness) -> None:
    session_id = await store.session()
    await store.apply(send(session_id))
    [turn] = store.turns
    assert [(a.message_id, a.chatbot_id) for a in (await store.join(session_id)).active] == [(turn.message_id, "echo")]
    ask = q.IsTurnOpen(session_id=session_id, message_id=turn.message_id)
    assert (await store.ask(ask)).open
    await store.apply(finish(turn))
    assert not (await store.ask(ask)).open
    assert (await store.join(session_id)).active == []


@pytest.mark.parametrize("why", ["missing", "stranger", "deleted"])
async def test_missing_deleted_and_foreign_sessions_are_not_found(store: StoreHarness, why: str) -> None:
    """The same answer from every query with a session id."""
    session_id = await filled(store, 1) if why != "missing" else uuid4()
    if why == "deleted":
        await store.database.write(lambda c: c.execute(update(chat_sessions).values(deleted_at=NOON)))
    user = "eve" if why == "stranger" else ADA
    details = set()
    for query in (
        q.JoinSession(user_id=user, session_id=session_id, after_seq=None, limit=1),
        q.JoinSession(user_id=user, session_id=session_id, after_seq=99, limit=1),
        q.ReadSession(user_id=user, session_id=session_id),
        q.ReadHistory(user_id=user, session_id=session_id, before_seq=None, after_seq=None, limit=1),
    ):
        with pytest.raises(NotFound) as caught:
            await store.ask(query)
        details.add(caught.value.detail)
    assert len(details) == 1
    assert user != "eve" or (await store.ask(q.ListSessions(user_id=user, cursor=None, limit=9))).sessions == []


async def test_history_is_read_below_or_above_a_number(store: StoreHarness) -> None:
    """Or from the newest message; never with both bounds."""
    session_id = await filled(store, 10)
    newest = await store.ask(history(session_id, 3))
    assert ([m.seq for m in newest.messages], newest.has_more) == ([8, 9, 10], True)
    older = await store.ask(history(session_id, 7, before_seq=8))
    assert ([m.seq for m in older.messages], older.has_more) == (list(range(1, 8)), False)
    later = await store.ask(history(session_id, 2, after_seq=3))
    assert ([m.seq for m in later.messages], later.has_more) == ([4, 5], True)
    assert not (await store.ask(history(session_id, 7, after_seq=3))).has_more
    with pytest.raises(InvalidRequest):
        await store.ask(history(session_id, before_seq=3, after_seq=1))


@pytest.mark.parametrize("content", ["x" * 16_000, "\x01" * 16_000, "😀" * 16_000])
async def test_answer_never_exceeds_512_kib(store: StoreHarness, content: str) -> None:
    """A page with large messages has fewer of them, and `has_more`."""
    session_id = await filled(store, 60, content)
    place, seen = 0, []
    while True:
        page = await store.ask(history(session_id, 200, after_seq=place))
        assert len(page.to_json()) <= PAGE_BYTES_MAX
        seen += [m.seq for m in page.messages]
        place = seen[-1]
        if not page.has_more:
            break
    assert seen == list(range(1, 61))
    joined = await store.join(session_id, limit=200)
    assert len(joined.to_json()) <= PAGE_BYTES_MAX
    assert joined.messages[-1].seq == 60
    assert joined.has_more
    after = await store.join(session_id, after=0, limit=200)
    assert after.has_more
    assert after.last_seq == after.messages[-1].seq


async def test_sessions_are_listed_by_latest_activity(store: StoreHarness) -> None:
    """Each once over all pages, also sessions with the same time."""
    ids = [await store.session(created_at=NOON + timedelta(seconds=n // 3), title=str(n)) for n in range(7)]
    await store.apply(send(ids[0]))  # now the newest
    seen: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await store.ask(q.ListSessions(user_id=ADA, cursor=cursor, limit=2))
        seen += [s.id for s in page.sessions]
        assert all(s.users == [ADA] and s.chatbots[0].name == "Echo" for s in page.sessions)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [ids[0], ids[6], *sorted(ids[3:6]), *sorted(ids[1:3])]


DIGEST = cursors._digest((q.ListSessions.TYPE, ADA))


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "!", "AAAA", "W10", "WyIyMDI2IiwxXQ", "ä"),
        cursors.encode(["0001-01-01T00:00:00+01:00", "0" * 32, DIGEST]),
        cursors.encode(["9999-12-31T23:59:59-01:00", "0" * 32, DIGEST]),
        cursors.encode(["2026-11-20T12:00:00", "0" * 32, DIGEST]),
        cursors.encode(["2026-11-20T12:00:00Z", "0" * 32]),
    ],
)
async def test_invalid_cursor_is_an_invalid_request(store: StoreHarness, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        await store.ask(q.ListSessions(user_id=ADA, cursor=cursor, limit=2))


async def test_cursor_of_another_user_or_query_is_an_invalid_request(store: StoreHarness) -> None:
    for user in (ADA, "bob"):
        for _ in range(3):
            await store.apply(started := start(user=user, reply_policy="silent"))
            await store.apply(send(started.session_id, "canary", user), send(started.session_id, "canary", user))
    own = (await store.ask(q.ListSessions(user_id=ADA, cursor=None, limit=1))).sessions[0].id
    lists = {user: q.ListSessions(user_id=user, cursor=None, limit=1) for user in (ADA, "bob")}
    words = q.SearchMessages(user_id=ADA, query="canary", session_id=None, cursor=None, limit=1)
    searches = [
        words,
        words.replace(user_id="bob"),
        words.replace(query="Canary"),
        words.replace(session_id=own),
    ]
    queries = [*lists.values(), *searches]
    cursors_of = [(await store.ask(query)).next_cursor for query in queries[:-1]]
    for number, cursor in enumerate(cursors_of):
        assert cursor is not None
        for other, query in enumerate(queries):
            if other == number:
                await store.ask(query.replace(cursor=cursor))
            else:
                with pytest.raises(InvalidRequest):
                    await store.ask(query.replace(cursor=cursor))


async def test_chatbots_are_listed_with_the_default_first(store: StoreHarness) -> None:
    await store.announce([card("b"), card("a"), card("z", default=True)], NOON + timedelta(hours=1))
    listed = await store.ask(q.ListChatbots())
    assert [(c.id, c.default) for c in listed.chatbots] == [("z", True), ("b", False), ("a", False)]


async def test_chatbots_before_any_catalogue_are_unavailable(engine: object) -> None:
    """An empty list would be wrong."""
    with pytest.raises(Unavailable):
        await StoreHarness(engine).ask(q.ListChatbots())  # type: ignore[arg-type]


async def test_gateway_reads_heads_and_changes_without_membership(store: StoreHarness) -> None:
    """Missing sessions have no head."""
    one, two = await filled(store, 2), await filled(store, 3)
    heads = await store.ask(q.ReadHeads(session_ids=[one, two, uuid4()]))
    assert heads.heads == {str(one): 2, str(two): 3}
    changes = await store.ask(q.ReadChanges(session_id=two, after_seq=1, limit=1))
    assert ([m.seq for m in changes.messages], changes.has_more, changes.last_seq) == ([2], True, 2)
    rest = await store.ask(q.ReadChanges(session_id=two, after_seq=2, limit=10))
    assert ([m.seq for m in rest.messages], rest.has_more, rest.last_seq) == ([3], False, 3)


async def test_session_is_returned_as_its_start_was_answered(store: StoreHarness) -> None:
    command = start(title="mine", reply_policy="silent")
    applied = await store.apply(command)
    read = await store.ask(q.ReadSession(user_id=ADA, session_id=command.session_id))
    session = read.session.to_dict()
    assert session.pop("read_seq") == 0
    assert applied.batch.answers[0][1].result == {"session": session, "created": True}
