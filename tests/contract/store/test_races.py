"""Two workers at the same time: each change is made once, and numbers have no gap."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts.commands import AcceptInvite, CreateInvite, DeleteSession, RegenerateReply, UpdateSession
from shared.contracts.events import MessageRejected
from tests.contract.store.harness import StoreHarness, outcome
from tests.support.commands import expiry, finish, received, send, start


@pytest.fixture
def rival(engine: AsyncEngine, store: StoreHarness) -> StoreHarness:
    """Another worker on the same database."""
    return StoreHarness(engine)


async def numbers(store: StoreHarness, session_id: UUID) -> list[int]:
    joined = await store.join(session_id, after=0, limit=200)
    changes = {message.updated_seq for message in joined.messages} | ({joined.session.seq} - {0})
    return sorted(changes)


async def test_same_commands_on_two_workers_are_applied_once(store: StoreHarness, rival: StoreHarness) -> None:
    """Both give the same answers."""
    session_id = await store.session(reply_policy="silent", chatbot_ids=["eliza"], title="t")
    log = [received(send(session_id, str(n))) for n in range(5)]
    log += [
        received(UpdateSession(session_id=session_id, user_id="ada", title=f"title {n}", reply_policy=None))
        for n in range(5)
    ]
    one, other = await asyncio.gather(store.apply_received(*log), rival.apply_received(*log))
    assert [reply.result for _, reply in one.batch.answers] == [reply.result for _, reply in other.batch.answers]
    assert (await store.join(session_id)).last_seq == 10
    assert await numbers(store, session_id) == [1, 2, 3, 4, 5, 10]


async def test_session_started_by_two_workers_is_created_once(store: StoreHarness, rival: StoreHarness) -> None:
    """There is no row to lock yet: the second worker repeats its transaction."""
    command = start(title="t")
    invite = CreateInvite(
        session_id=command.session_id, user_id="ada", invite_hash="h", expires_at=expiry(60), max_uses=None
    )
    log = [received(command), received(invite), received(send(command.session_id))]
    one, other = await asyncio.gather(store.apply_received(*log), rival.apply_received(*log))
    assert [r.to_dict() for _, r in one.batch.answers][1] == [r.to_dict() for _, r in other.batch.answers][1]
    assert (await store.join(command.session_id)).last_seq == 1


async def test_invite_is_not_used_more_often_than_allowed(store: StoreHarness, rival: StoreHarness) -> None:
    """Of ten concurrent users, three become members."""
    session_id = await store.session()
    await store.do(CreateInvite, session_id, invite_hash="h", expires_at=expiry(60), max_uses=3)
    accepting = [
        (store, rival)[n % 2].apply(AcceptInvite(session_id=session_id, user_id=f"u{n}", invite_hash="h"))
        for n in range(10)
    ]
    outcomes = Counter(str(outcome(each))[:9] for each in await asyncio.gather(*accepting))
    assert outcomes["not_found"] == 7
    joined = await store.join(session_id)
    assert (len(joined.session.users), joined.last_seq) == (4, 3)


async def test_reply_regenerated_by_two_workers_is_superseded_once(store: StoreHarness, rival: StoreHarness) -> None:
    """Both answer with the same new reply."""
    session_id = await store.session(chatbot_ids=["eliza"], title="t")
    await store.apply(send(session_id))
    [turn] = store.turns
    await store.apply(finish(turn))
    await rival.announce()
    again = [
        each.apply(RegenerateReply(session_id=session_id, user_id="ada", message_id=turn.message_id))
        for each in (store, rival)
    ]
    one, other = [outcome(each) for each in await asyncio.gather(*again)]
    assert one == other
    assert len((await store.join(session_id)).active) == 1


async def test_message_is_stored_before_a_deletion_or_rejected(store: StoreHarness, rival: StoreHarness) -> None:
    session_id = await store.session(reply_policy="silent")
    sending = [rival.apply(send(session_id, str(n))) for n in range(3)]
    await asyncio.gather(store.apply(DeleteSession(session_id=session_id, user_id="ada")), *sending)
    await rival.apply(send(session_id))
    assert rival.events(MessageRejected)
