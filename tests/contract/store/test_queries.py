"""Reads, to the letter of contract §3: pages, cursors, membership."""

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
from tests.contract.store.desk import ADA, NOON, Desk, card, finish, send, start


async def filled(desk: Desk, count: int, content: str = "") -> UUID:
    """A silent session with `count` messages, seq 1 … count."""
    session_id = await desk.session(reply_policy="silent")
    await desk.apply(*(send(session_id, content or str(n + 1)) for n in range(count)))
    return session_id


def history(session_id: UUID, limit: int = 50, **more: int) -> q.ReadHistory:
    place: dict[str, int | None] = {"before_seq": None, "after_seq": None}
    return q.ReadHistory(user_id=ADA, session_id=session_id, limit=limit, **(place | more))


async def test_join_shows_the_newest_page(desk: Desk) -> None:
    """Ascending; has_more says that there are older ones; last_seq is the session's."""
    session_id = await filled(desk, 10)
    page = await desk.join(session_id, limit=4)
    assert [m.seq for m in page.messages] == [7, 8, 9, 10]
    assert (page.has_more, page.last_seq, page.session.read_seq) == (True, 10, 0)
    assert not (await desk.join(session_id, limit=10)).has_more


async def test_join_after_a_cursor_walks_to_the_end(desk: Desk) -> None:
    """Each message once, complete up to last_seq, which is the session's own at the end."""
    session_id = await desk.session()
    for n in range(5):
        await desk.turn(session_id, str(n))  # 1 message, 2 reply, 3 title, 4 message …
    seen, after, pages = [], 0, 0
    while True:
        page = await desk.join(session_id, after=after, limit=2)
        seen += [m.seq for m in page.messages]
        after, pages = page.last_seq, pages + 1
        if not page.has_more:
            break
        assert page.last_seq == page.messages[-1].updated_seq
    assert seen == [1, 2, *range(4, 12)]
    assert (after, pages) == (11, 5)
    assert (await desk.join(session_id, after=11)).messages == []


async def test_a_change_of_the_session_after_its_last_message_is_covered(desk: Desk) -> None:
    """The title's number is above the reply's: the page ends with it, and asking from there is no conflict."""
    session_id = await desk.session()
    await desk.turn(session_id)
    page = await desk.join(session_id, after=2)
    assert (page.messages, page.last_seq, page.session.seq, page.has_more) == ([], 3, 3, False)
    assert (await desk.join(session_id, after=3)).last_seq == 3


async def test_changed_messages_come_under_their_later_number(desk: Desk) -> None:
    """By `updated_seq`, once, as they are now."""
    session_id = await filled(desk, 3)
    first = (await desk.join(session_id)).messages[0].id
    await desk.database.write(
        lambda c: (
            c.execute(update(chat_messages).where(chat_messages.c.id == first).values(updated_seq=4)),
            c.execute(update(chat_sessions).values(last_seq=4)),
        )
    )
    page = await desk.join(session_id, after=1)
    assert [(m.seq, m.updated_seq) for m in page.messages] == [(2, 2), (3, 3), (1, 4)]


async def test_a_cursor_above_the_newest_number_is_a_conflict(desk: Desk) -> None:
    """Load anew: the client knows more than is stored."""
    session_id = await filled(desk, 3)
    with pytest.raises(Conflict):
        await desk.join(session_id, after=4)


async def test_open_turns_are_shown(desk: Desk) -> None:
    """Until their reply is stored; a turn can be asked for by its id."""
    session_id = await desk.session()
    await desk.apply(send(session_id))
    [turn] = desk.turns
    assert [(a.message_id, a.chatbot_id) for a in (await desk.join(session_id)).active] == [(turn.message_id, "echo")]
    ask = q.IsTurnOpen(session_id=session_id, message_id=turn.message_id)
    assert (await desk.ask(ask)).open
    await desk.apply(finish(turn))
    assert not (await desk.ask(ask)).open
    assert (await desk.join(session_id)).active == []


@pytest.mark.parametrize("why", ["missing", "stranger", "deleted"])
async def test_what_is_not_yours_is_not_found(desk: Desk, why: str) -> None:
    """One answer for all three, in every read that names a session."""
    session_id = await filled(desk, 1) if why != "missing" else uuid4()
    if why == "deleted":
        await desk.database.write(lambda c: c.execute(update(chat_sessions).values(deleted_at=NOON)))
    user = "eve" if why == "stranger" else ADA
    details = set()
    for query in (
        q.JoinSession(user_id=user, session_id=session_id, after_seq=None, limit=1),
        q.JoinSession(user_id=user, session_id=session_id, after_seq=99, limit=1),
        q.ReadSession(user_id=user, session_id=session_id),
        q.ReadHistory(user_id=user, session_id=session_id, before_seq=None, after_seq=None, limit=1),
    ):
        with pytest.raises(NotFound) as caught:
            await desk.ask(query)
        details.add(caught.value.detail)
    assert len(details) == 1
    assert user != "eve" or (await desk.ask(q.ListSessions(user_id=user, cursor=None, limit=9))).sessions == []


async def test_history_by_place(desk: Desk) -> None:
    """Below, above, or the newest; never both."""
    session_id = await filled(desk, 10)
    newest = await desk.ask(history(session_id, 3))
    assert ([m.seq for m in newest.messages], newest.has_more) == ([8, 9, 10], True)
    older = await desk.ask(history(session_id, 7, before_seq=8))
    assert ([m.seq for m in older.messages], older.has_more) == (list(range(1, 8)), False)
    later = await desk.ask(history(session_id, 2, after_seq=3))
    assert ([m.seq for m in later.messages], later.has_more) == ([4, 5], True)
    assert not (await desk.ask(history(session_id, 7, after_seq=3))).has_more
    with pytest.raises(InvalidRequest):
        await desk.ask(history(session_id, before_seq=3, after_seq=1))


@pytest.mark.parametrize("content", ["x" * 16_000, "\x01" * 16_000, "😀" * 16_000])
async def test_an_answer_is_never_over_512_kib(desk: Desk, content: str) -> None:
    """Whatever the characters cost in JSON: fewer messages, has_more, and walking still shows each once."""
    session_id = await filled(desk, 60, content)
    place, seen = 0, []
    while True:
        page = await desk.ask(history(session_id, 200, after_seq=place))
        assert len(page.model_dump_json()) <= PAGE_BYTES_MAX
        seen += [m.seq for m in page.messages]
        place = seen[-1]
        if not page.has_more:
            break
    assert seen == list(range(1, 61))
    joined = await desk.join(session_id, limit=200)
    assert len(joined.model_dump_json()) <= PAGE_BYTES_MAX
    assert joined.messages[-1].seq == 60
    assert joined.has_more
    after = await desk.join(session_id, after=0, limit=200)
    assert after.has_more
    assert after.last_seq == after.messages[-1].seq


async def test_chats_are_listed_by_newest_activity(desk: Desk) -> None:
    """Every session once over all pages, whatever shares a moment."""
    ids = [await desk.session(created_at=NOON + timedelta(seconds=n // 3), title=str(n)) for n in range(7)]
    await desk.apply(send(ids[0]))  # now the newest
    seen: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await desk.ask(q.ListSessions(user_id=ADA, cursor=cursor, limit=2))
        seen += [s.id for s in page.sessions]
        assert all(s.users == [ADA] and s.chatbots[0].name == "Echo" for s in page.sessions)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [ids[0], ids[6], *sorted(ids[3:6]), *sorted(ids[1:3])]


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "!", "AAAA", "W10", "WyIyMDI2IiwxXQ", "ä"),
        cursors.write(["0001-01-01T00:00:00+01:00", "0" * 32]),
        cursors.write(["9999-12-31T23:59:59-01:00", "0" * 32]),
        cursors.write(["2026-11-20T12:00:00", "0" * 32]),
    ],
)
async def test_a_foreign_cursor_is_an_invalid_request(desk: Desk, cursor: str) -> None:
    """Never an error of ours."""
    with pytest.raises(InvalidRequest):
        await desk.ask(q.ListSessions(user_id=ADA, cursor=cursor, limit=2))


async def test_chatbots_with_the_default_first(desk: Desk) -> None:
    """Those that there are; unavailable before anybody has announced any."""
    await desk.announce([card("b"), card("a"), card("z", default=True)], NOON + timedelta(hours=1))
    listed = await desk.ask(q.ListChatbots())
    assert [(c.id, c.default) for c in listed.chatbots] == [("z", True), ("b", False), ("a", False)]


async def test_chatbots_before_any_catalogue(engine: object) -> None:
    """Unavailable is honest; an empty list would not be."""
    with pytest.raises(Unavailable):
        await Desk(engine).ask(q.ListChatbots())  # type: ignore[arg-type]


async def test_heads_and_changes_for_a_gateway(desk: Desk) -> None:
    """Many heads at once, missing ones left out; changes need no membership."""
    one, two = await filled(desk, 2), await filled(desk, 3)
    heads = await desk.ask(q.ReadHeads(session_ids=[one, two, uuid4()]))
    assert heads.heads == {str(one): 2, str(two): 3}
    changes = await desk.ask(q.ReadChanges(session_id=two, after_seq=1, limit=1))
    assert ([m.seq for m in changes.messages], changes.has_more, changes.last_seq) == ([2], True, 2)
    rest = await desk.ask(q.ReadChanges(session_id=two, after_seq=2, limit=10))
    assert ([m.seq for m in rest.messages], rest.has_more, rest.last_seq) == ([3], False, 3)


async def test_read_session(desk: Desk) -> None:
    """As `start_chat` answered it."""
    command = start(title="mine", reply_policy="silent")
    applied = await desk.apply(command)
    read = await desk.ask(q.ReadSession(user_id=ADA, session_id=command.session_id))
    assert applied.batch.answers[0][1].result == read.model_dump(mode="json")
