"""Repeated and late commands of members."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.contracts.commands import (
    AcceptInvite,
    DeleteSession,
    LeaveSession,
    UpdateSession,
)
from shared.contracts.events import SessionDeleted
from shared.contracts.payload import utc_now
from tests.contract.store.harness import StoreHarness, outcome
from tests.contract.store.test_members import invite
from tests.support.commands import received, soon


async def test_repeated_command_gets_its_first_answer(store: StoreHarness) -> None:
    """Its publications, which may be lost, are repeated, and nothing changes."""
    session_id = await store.session("bob")
    leave = received(LeaveSession(session_id=session_id, user_id="bob"))
    rename = received(UpdateSession(session_id=session_id, user_id="ada", title="one", reply_policy=None))
    refused = received(AcceptInvite(session_id=session_id, user_id="cem", invite_hash="none"))
    delete = received(DeleteSession(session_id=session_id, user_id="ada"))
    first = [outcome(await store.apply_received(each)) for each in (leave, rename, refused)]
    await invite(store, session_id, "none")
    await store.do(UpdateSession, session_id, title="two", reply_policy=None)
    before = await store.join(session_id)
    again = []
    for each in (leave, rename, refused):
        again.append(outcome(await store.apply_received(each)))
        assert store.published != []
    assert again == first
    assert await store.join(session_id) == before
    assert outcome(await store.apply_received(delete)) == outcome(await store.apply_received(delete)) == {}
    assert [(e.users, e.whole) for e in store.events(SessionDeleted)] == [(["ada"], True)]
    assert outcome(await store.apply_received(rename)) == first[1]


async def test_late_command_that_was_applied_is_published_again(store: StoreHarness) -> None:
    """Its worker crashed before the publication, and the deadline passed before the redelivery."""
    session_id = await store.session("bob")
    leave = LeaveSession(session_id=session_id, user_id="bob")
    first = received(leave)
    late = received(leave, soon(-1), first.envelope.id, redelivered=True)
    assert outcome(await store.apply_received(first)) == outcome(await store.apply_received(late)) == {}
    assert [e.users for e in store.events(SessionDeleted)] == [["bob"]]
    await store.apply_received(
        replace(late, redelivered=False)
    )  # not redelivered, so no worker can have applied it before
    assert store.published == []


async def test_repetition_within_one_batch_takes_no_second_number(store: StoreHarness) -> None:
    session_id = await store.session()
    rename = received(UpdateSession(session_id=session_id, user_id="ada", title="one", reply_policy=None))
    applied = await store.apply_received(rename, rename)
    assert [reply.error for _, reply in applied.batch.answers] == [None, None]
    assert (await store.join(session_id)).last_seq == 1


async def test_command_past_its_deadline_is_not_recorded_as_applied(store: StoreHarness) -> None:
    session_id = await store.session()
    late = received(DeleteSession(session_id=session_id, user_id="ada"), utc_now() - timedelta(seconds=1))
    assert (await store.apply_received(late)).batch.answers == []
    assert (await store.join(session_id)).last_seq == 0
