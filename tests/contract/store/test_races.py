"""Two workers at once, as when one of them is taken for dead: each change is made once, and numbers have no hole."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts.commands import AcceptInvite, CreateInvite, DeleteSession, RegenerateReply, UpdateSession
from shared.contracts.events import MessageRejected
from tests.contract.store.desk import Desk, finish, order, outcome, send, soon, start


@pytest.fixture
def rival(engine: AsyncEngine, desk: Desk) -> Desk:
    """Another worker on the same database."""
    return Desk(engine)


async def numbers(desk: Desk, session_id: UUID) -> list[int]:
    joined = await desk.join(session_id, after=0, limit=200)
    changes = {message.updated_seq for message in joined.messages} | ({joined.session.seq} - {0})
    return sorted(changes)


async def test_the_same_commands_are_done_once(desk: Desk, rival: Desk) -> None:
    """Whoever comes second gets the first one's answer; both walk the same log."""
    session_id = await desk.session(reply_policy="silent", chatbot_ids=["eliza"], title="t")
    log = [order(send(session_id, str(n))) for n in range(5)]
    log += [
        order(UpdateSession(session_id=session_id, user_id="ada", title=f"title {n}", reply_policy=None))
        for n in range(5)
    ]
    one, other = await asyncio.gather(desk.apply_orders(*log), rival.apply_orders(*log))
    assert [reply.result for _, reply in one.batch.answers] == [reply.result for _, reply in other.batch.answers]
    assert (await desk.join(session_id)).last_seq == 10
    assert await numbers(desk, session_id) == [1, 2, 3, 4, 5, 10]


async def test_a_session_is_made_once_with_all_that_followed(desk: Desk, rival: Desk) -> None:
    """There was nothing to lock yet: the second one finds it and starts again."""
    command = start(title="t")
    invite = CreateInvite(
        session_id=command.session_id, user_id="ada", invite_hash="h", expires_at=soon(60), max_uses=None
    )
    log = [order(command), order(invite), order(send(command.session_id))]
    one, other = await asyncio.gather(desk.apply_orders(*log), rival.apply_orders(*log))
    assert [r.model_dump() for _, r in one.batch.answers][1] == [r.model_dump() for _, r in other.batch.answers][1]
    assert (await desk.join(command.session_id)).last_seq == 1


async def test_an_invite_lets_in_no_more_than_it_says(desk: Desk, rival: Desk) -> None:
    """Ten at once, three of them in."""
    session_id = await desk.session()
    await desk.do(CreateInvite, session_id, invite_hash="h", expires_at=soon(60), max_uses=3)
    accepting = [
        (desk, rival)[n % 2].apply(AcceptInvite(session_id=session_id, user_id=f"u{n}", invite_hash="h"))
        for n in range(10)
    ]
    outcomes = Counter(str(outcome(each))[:9] for each in await asyncio.gather(*accepting))
    assert outcomes["not_found"] == 7
    joined = await desk.join(session_id)
    assert (len(joined.session.users), joined.last_seq) == (4, 3)


async def test_a_reply_is_superseded_once(desk: Desk, rival: Desk) -> None:
    """Two ask for another one: they get the same."""
    session_id = await desk.session(chatbot_ids=["eliza"], title="t")
    await desk.apply(send(session_id))
    [turn] = desk.turns
    await desk.apply(finish(turn))
    await rival.announce()
    again = [
        each.apply(RegenerateReply(session_id=session_id, user_id="ada", message_id=turn.message_id))
        for each in (desk, rival)
    ]
    one, other = [outcome(each) for each in await asyncio.gather(*again)]
    assert one == other
    assert len((await desk.join(session_id)).active) == 1


async def test_a_message_is_either_stored_before_the_deletion_or_rejected(desk: Desk, rival: Desk) -> None:
    """Never stored in what is gone."""
    session_id = await desk.session(reply_policy="silent")
    sending = [rival.apply(send(session_id, str(n))) for n in range(3)]
    await asyncio.gather(desk.apply(DeleteSession(session_id=session_id, user_id="ada")), *sending)
    await rival.apply(send(session_id))
    assert rival.events(MessageRejected)
