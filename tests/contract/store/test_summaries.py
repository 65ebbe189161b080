"""What a chatbot's language model made of a session's past: kept for its turns, and dropped when that past changes."""

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
from tests.contract.store.desk import ADA, NOON, Desk, card, finish, send

TEXT = "Ada likes tea."


@pytest.fixture
async def session_id(desk: Desk) -> UUID:
    """A session of Ada and Bob with three turns of a chatbot that wants summaries, and another chatbot."""
    await desk.announce([card("eliza", summary=True), card("echo")], NOON + timedelta(hours=1))
    session_id = await desk.session("bob", chatbot_ids=["eliza", "echo"], title="Tea")
    for user in ("bob", ADA, ADA):
        await desk.apply(send(session_id, f"{user} speaks", user))
        await desk.apply(finish(desk.turns[0], f"to {user}"))
    return session_id


async def messages(desk: Desk, session_id: UUID) -> list[Message]:
    return (await desk.join(session_id)).messages


async def summarize(desk: Desk, session_id: UUID, up_to: int, as_of: int | None = None, text: str = TEXT) -> None:
    newest = (await desk.join(session_id)).last_seq
    fields = {"session_id": session_id, "up_to_seq": up_to, "as_of": newest if as_of is None else as_of, "text": text}
    await desk.apply(SummarizeSession(chatbot_id="eliza", **fields))
    assert desk.told == [], "nobody is shown it"


async def kept(desk: Desk) -> list[tuple[str, int, str]]:
    columns = session_summaries.c
    rows = await desk.database.read(
        lambda c: c.execute(select(columns.chatbot_id, columns.up_to_seq, columns.text)).all()
    )
    return [tuple(row) for row in rows]


async def test_a_turn_carries_it_where_its_chatbot_wants_it(desk: Desk, session_id: UUID) -> None:
    """With the numbers that a further one is made by; the others' turns are as they were."""
    await summarize(desk, session_id, 3)
    newest = (await desk.join(session_id)).last_seq
    await desk.apply(send(session_id, "@eliza and @echo"))
    asked, other = desk.turns
    assert (asked.summary, asked.as_of) == (Summary(up_to_seq=3, text=TEXT), newest + 1)
    assert (other.summary, other.as_of) == (None, 0)
    assert [message.seq for message in asked.context] == [m.seq for m in await messages(desk, session_id)]


async def test_the_one_that_reaches_furthest_stays(desk: Desk, session_id: UUID) -> None:
    """Late, doubled and over-long ones do no harm, nor do NUL and a chatbot that does not take part."""
    await summarize(desk, session_id, 4, text="four\0" + "x" * SUMMARY_MAX)
    for up_to in (2, 4):
        await summarize(desk, session_id, up_to)
    await desk.apply(
        SummarizeSession(session_id=session_id, chatbot_id="nobody", up_to_seq=9, as_of=99, text="stranger")
    )
    assert await kept(desk) == [("eliza", 4, ("four" + "x" * SUMMARY_MAX)[:SUMMARY_MAX])]
    await summarize(desk, session_id, 5, text="five")
    assert await kept(desk) == [("eliza", 5, "five")]


async def test_it_counts_in_the_size_of_a_turn(desk: Desk, session_id: UUID) -> None:
    """Summary and messages together stay within the bound."""
    await summarize(desk, session_id, 3, text="\x01" * SUMMARY_MAX)
    await desk.apply(send(session_id, "@eliza first"))
    [turn] = desk.turns
    await desk.apply(*(send(session_id, "@eliza " + "x" * 15_000) for _ in range(20)))
    await desk.apply(finish(turn))
    [turn] = desk.turns
    assert turn.summary is not None
    assert len(turn.model_dump_json()) <= CONTEXT_BYTES_MAX


async def edit(desk: Desk, session_id: UUID, message: Message) -> None:
    await desk.do(EditMessage, session_id, ADA, message_id=message.id, content="changed")


async def regenerate(desk: Desk, session_id: UUID, message: Message) -> None:
    await desk.do(RegenerateReply, session_id, ADA, message_id=message.id)


async def erase(desk: Desk, session_id: UUID, _message: Message) -> None:
    await desk.apply(EraseAuthor(session_id=session_id, user_id="bob"))


@pytest.mark.parametrize(("change", "place"), [(edit, 4), (regenerate, 3), (erase, 0)])
async def test_a_change_drops_what_includes_it(
    desk: Desk, session_id: UUID, change: Callable[[Desk, UUID, Message], Awaitable[Any]], place: int
) -> None:
    """And refuses one that was made of what the session was before, however late it comes; a later one is kept."""
    message = (await messages(desk, session_id))[place]
    newest = (await desk.join(session_id)).last_seq
    await summarize(desk, session_id, message.seq)
    await change(desk, session_id, message)
    assert await kept(desk) == []
    await summarize(desk, session_id, message.seq, as_of=newest)
    assert await kept(desk) == []
    await summarize(desk, session_id, message.seq)
    assert len(await kept(desk)) == 1


async def test_a_change_behind_it_leaves_it(desk: Desk, session_id: UUID) -> None:
    """It says nothing of that."""
    found = await messages(desk, session_id)
    await summarize(desk, session_id, found[3].seq)
    await edit(desk, session_id, found[4])
    assert len(await kept(desk)) == 1


async def test_a_reply_given_anew_sees_nothing_of_what_came_after_it(desk: Desk, session_id: UUID) -> None:
    """A summary that reaches further is left out, and no other is to be made of this turn."""
    found = await messages(desk, session_id)
    await summarize(desk, session_id, found[2].seq)
    await regenerate(desk, session_id, found[3])
    assert desk.turns[0].summary is not None
    await desk.apply(finish(desk.turns[0]))
    await summarize(desk, session_id, found[2].seq)
    await regenerate(desk, session_id, (await messages(desk, session_id))[-1])
    turn = desk.turns[0]
    assert turn.context[-1].seq == found[2].seq
    assert turn.summary is not None
    await desk.apply(finish(turn))
    await summarize(desk, session_id, found[5].seq)
    await regenerate(desk, session_id, (await messages(desk, session_id))[-1])
    assert (desk.turns[0].summary, desk.turns[0].as_of) == (None, 0)


async def test_it_goes_with_its_session(desk: Desk, session_id: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are of people's words; a late one does not bring them back."""
    await summarize(desk, session_id, 3)
    await desk.do(DeleteSession, session_id)
    await desk.apply(SummarizeSession(session_id=session_id, chatbot_id="eliza", up_to_seq=6, as_of=99, text="late"))
    monkeypatch.setattr(sweep, "PURGE_AFTER", timedelta(0))
    while await desk.database.write(lambda c: sweep.purge(c, utc_now() + timedelta(seconds=1))):
        pass
    assert await kept(desk) == []
