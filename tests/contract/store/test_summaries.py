"""Summaries by language models: stored for later turns, and deleted when a message that they cover changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from persistence_worker.jobs import sweep
from persistence_worker.storage.tables import session_summaries
from shared.contracts.commands import DeleteSession, EditMessage, EraseAuthor, RegenerateReply, SummarizeSession
from shared.contracts.payload import utc_now
from shared.contracts.turns import CONTEXT_BYTES_MAX, SUMMARY_MAX, Summary
from shared.contracts.views import Message
from tests.contract.store.harness import StoreHarness
from tests.support.commands import ADA, NOON, card, finish, send

TEXT = "Ada likes tea."


@pytest.fixture
async def session_id(store: StoreHarness) -> UUID:
    """A session of Ada and Bob with three turns of a chatbot that wants summaries, and another chatbot."""
    await store.announce([card("eliza", summary=True), card("echo")], NOON + timedelta(hours=1))
    session_id = await store.session("bob", chatbot_ids=["eliza", "echo"], title="Tea")
    for user in ("bob", ADA, ADA):
        await store.apply(send(session_id, f"{user} speaks", user))
        await store.apply(finish(store.turns[0], f"to {user}"))
    return session_id


async def messages(store: StoreHarness, session_id: UUID) -> list[Message]:
    return (await store.join(session_id)).messages


async def summarize(
    store: StoreHarness, session_id: UUID, up_to: int, as_of: int | None = None, text: str = TEXT
) -> None:
    newest = (await store.join(session_id)).last_seq
    fields = {"session_id": session_id, "up_to_seq": up_to, "as_of": newest if as_of is None else as_of, "text": text}
    await store.apply(SummarizeSession(chatbot_id="eliza", **fields))
    assert store.published == [], "nobody is shown it"


async def kept(store: StoreHarness) -> list[tuple[str, int, str]]:
    columns = session_summaries.c
    rows = await store.database.read(
        lambda c: c.execute(select(columns.chatbot_id, columns.up_to_seq, columns.text)).all()
    )
    return [tuple(row) for row in rows]


async def test_turn_has_the_summary_if_its_chatbot_wants_it(store: StoreHarness, session_id: UUID) -> None:
    """With the numbers for the next summary; turns of other chatbots have none."""
    await summarize(store, session_id, 3)
    newest = (await store.join(session_id)).last_seq
    await store.apply(send(session_id, "@eliza and @echo"))
    asked, other = store.turns
    assert (asked.summary, asked.as_of) == (Summary(up_to_seq=3, text=TEXT), newest + 1)
    assert (other.summary, other.as_of) == (None, 0)
    assert [message.seq for message in asked.context] == [m.seq for m in await messages(store, session_id)]


async def test_summary_of_most_messages_is_kept(store: StoreHarness, session_id: UUID) -> None:
    """Late, repeated and long ones, NUL, and a chatbot that does not take part do no harm."""
    await summarize(store, session_id, 4, text="four\0" + "x" * SUMMARY_MAX)
    for up_to in (2, 4):
        await summarize(store, session_id, up_to)
    await store.apply(
        SummarizeSession(session_id=session_id, chatbot_id="nobody", up_to_seq=9, as_of=99, text="stranger")
    )
    assert await kept(store) == [("eliza", 4, ("four" + "x" * SUMMARY_MAX)[:SUMMARY_MAX])]
    await summarize(store, session_id, 5, text="five")
    assert await kept(store) == [("eliza", 5, "five")]


async def test_summary_counts_in_the_size_of_a_turn(store: StoreHarness, session_id: UUID) -> None:
    await summarize(store, session_id, 3, text="\x01" * SUMMARY_MAX)
    await store.apply(send(session_id, "@eliza first"))
    [turn] = store.turns
    await store.apply(*(send(session_id, "@eliza " + "x" * 15_000) for _ in range(20)))
    await store.apply(finish(turn))
    [turn] = store.turns
    assert turn.summary is not None
    assert len(turn.to_json()) <= CONTEXT_BYTES_MAX


async def edit(store: StoreHarness, session_id: UUID, message: Message) -> None:
    await store.do(EditMessage, session_id, ADA, message_id=message.id, content="changed")


async def regenerate(store: StoreHarness, session_id: UUID, message: Message) -> None:
    await store.do(RegenerateReply, session_id, ADA, message_id=message.id)


async def erase(store: StoreHarness, session_id: UUID, _message: Message) -> None:
    await store.apply(EraseAuthor(session_id=session_id, user_id="bob"))


@pytest.mark.parametrize(("change", "place"), [(edit, 4), (regenerate, 3), (erase, 0)])
async def test_change_deletes_the_summaries_that_cover_it(
    store: StoreHarness, session_id: UUID, change: Callable[[StoreHarness, UUID, Message], Awaitable[Any]], place: int
) -> None:
    """A late summary of the old state is refused, one of the new state is stored."""
    message = (await messages(store, session_id))[place]
    newest = (await store.join(session_id)).last_seq
    await summarize(store, session_id, message.seq)
    await change(store, session_id, message)
    assert await kept(store) == []
    await summarize(store, session_id, message.seq, as_of=newest)
    assert await kept(store) == []
    await summarize(store, session_id, message.seq)
    assert len(await kept(store)) == 1


async def test_change_after_the_covered_messages_keeps_the_summary(store: StoreHarness, session_id: UUID) -> None:
    found = await messages(store, session_id)
    await summarize(store, session_id, found[3].seq)
    await edit(store, session_id, found[4])
    assert len(await kept(store)) == 1


async def test_regenerated_reply_gets_no_summary_of_later_messages(store: StoreHarness, session_id: UUID) -> None:
    """And its worker makes no summary."""
    found = await messages(store, session_id)
    await summarize(store, session_id, found[2].seq)
    await regenerate(store, session_id, found[3])
    assert store.turns[0].summary is not None
    await store.apply(finish(store.turns[0]))
    await summarize(store, session_id, found[2].seq)
    await regenerate(store, session_id, (await messages(store, session_id))[-1])
    turn = store.turns[0]
    assert turn.context[-1].seq == found[2].seq
    assert turn.summary is not None
    await store.apply(finish(turn))
    await summarize(store, session_id, found[5].seq)
    await regenerate(store, session_id, (await messages(store, session_id))[-1])
    assert (store.turns[0].summary, store.turns[0].as_of) == (None, 0)


async def test_summary_is_purged_with_its_session(
    store: StoreHarness, session_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late one is not stored."""
    await summarize(store, session_id, 3)
    await store.do(DeleteSession, session_id)
    await store.apply(SummarizeSession(session_id=session_id, chatbot_id="eliza", up_to_seq=6, as_of=99, text="late"))
    monkeypatch.setattr(sweep, "PURGE_AFTER", timedelta(0))
    while await store.database.write(lambda c: sweep.purge_session(c, utc_now() + timedelta(seconds=1))):
        pass
    assert await kept(store) == []
