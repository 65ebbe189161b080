"""Erasure: nothing that a deleted user wrote remains in any session, or is stored later."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.consumers import account_erasure
from persistence_worker.jobs import sweep
from persistence_worker.storage import history
from persistence_worker.storage.tables import applied_commands, chat_messages, chat_sessions, metadata, session_users
from shared.contracts.commands import (
    AcceptInvite,
    CreateInvite,
    DeleteSession,
    EraseAuthor,
    LeaveSession,
    RateReply,
    UpdateSession,
)
from shared.contracts.events import SessionDeleted
from shared.contracts.payload import utc_now
from shared.errors import NotFound
from tests.contract.store.harness import StoreHarness, outcome
from tests.support.commands import expiry, finish, received, send, start


async def erase(store: StoreHarness, session_id: UUID, user: str) -> list[int]:
    """Apply the command and its follow-ups; return the numbers of the changed messages."""
    numbers: list[int] = []
    command: EraseAuthor | None = EraseAuthor(session_id=session_id, user_id=user)
    while command is not None:
        await store.apply(command)
        numbers += [message.updated_seq for message in store.changed]
        command = next(iter(store.events(EraseAuthor)), None)
    return numbers


async def dump(store: StoreHarness) -> str:
    """Return all content of the database as text."""

    def read(connection: Any) -> str:
        return "\n".join(str(row) for table in metadata.tables.values() for row in connection.execute(select(table)))

    return await store.database.read(read)


async def test_erased_messages_keep_their_place_without_content(store: StoreHarness) -> None:
    """Each changes under a separate number; messages of other users stay."""
    session_id = await store.session("bob", chatbot_ids=["eliza"])
    await store.apply(send(session_id, "a canary sings", "bob", client_message_id="canary-id"))
    [turn] = store.turns
    await store.apply(finish(turn, "does it?"))
    assert store.updated[0].title == "a canary sings"
    await store.do(UpdateSession, session_id, "bob", title="canary title", reply_policy=None)
    await store.do(RateReply, session_id, "bob", message_id=turn.message_id, rating=1, comment="canary comment")
    await store.apply(send(session_id, "mine"))
    await store.apply(finish(store.turns[0], "yours"))
    last = (await store.join(session_id)).last_seq
    numbers = await erase(store, session_id, "bob")
    joined = await store.join(session_id)
    assert [(m.content, m.status) for m in joined.messages] == [
        ("", "erased"),
        ("does it?", "complete"),
        ("mine", "complete"),
        ("yours", "complete"),
    ]
    assert (joined.session.title, joined.session.users, joined.last_seq) == (None, ["ada"], last + 3)
    assert numbers == [last + 3]
    assert "canary" not in await dump(store)
    with pytest.raises(NotFound):
        await store.join(session_id, user="bob")
    assert await store.database.read(lambda c: account_erasure.sessions_of(c, "bob", account_erasure.FIRST)) == []


async def test_long_history_is_erased_by_several_commands(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repetition of any of them changes nothing."""
    monkeypatch.setattr(history, "ERASED_MAX", 3)
    monkeypatch.setattr(history, "WINDOW", 5)
    session_id = await store.session("bob", reply_policy="silent")
    await store.apply(*(send(session_id, str(n), "bob" if n % 4 else "ada") for n in range(40)))
    assert len(await erase(store, session_id, "bob")) == 30
    before = await store.join(session_id)
    assert {m.sender_id for m in before.messages if m.content} == {"ada"}
    assert await erase(store, session_id, "bob") == []
    assert await store.join(session_id) == before


async def test_session_without_other_members_is_deleted(store: StoreHarness) -> None:
    """A session with other members gets a new owner."""
    alone, shared = await store.session(), await store.session("bob")
    await store.apply(EraseAuthor(session_id=alone, user_id="ada"), EraseAuthor(session_id=shared, user_id="ada"))
    assert [(e.session_id, e.whole) for e in store.events(SessionDeleted)] == [(alone, True), (shared, False)]
    assert (await store.join(shared, user="bob")).session.owner_id == "bob"


async def test_all_sessions_of_a_user_are_found_also_former_ones(store: StoreHarness) -> None:
    """In pages, without sessions of other users."""
    mine, left = await store.session(), await store.session("bob")
    await store.do(LeaveSession, left)
    await store.session(user="bob")
    found = await store.database.read(lambda c: account_erasure.sessions_of(c, "ada", account_erasure.FIRST))
    assert found == sorted([mine, left], key=str)
    assert await store.database.read(lambda c: account_erasure.sessions_of(c, "ada", found[-1])) == found[-1:]


async def test_erased_user_cannot_enter_a_session(store: StoreHarness) -> None:
    """Neither by starting one, nor by an invite."""
    session_id = await store.session()
    await store.do(CreateInvite, session_id, invite_hash="h", expires_at=expiry(60), max_uses=None)
    for _ in range(2):
        await store.database.write(lambda c: account_erasure.record_erasure(c, "bob"))
    assert outcome(await store.apply(start(user="bob"))) == "not_found"
    assert await store.do(AcceptInvite, session_id, "bob", invite_hash="h") == "not_found"
    assert "session" in await store.do(AcceptInvite, session_id, "cem", invite_hash="h")


async def test_erasure_waits_for_a_transaction_in_which_the_user_enters_a_session(
    engine: AsyncEngine, store: StoreHarness
) -> None:
    """The list of sessions includes the one that it starts."""
    held, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    contexts = store.contexts.build

    def slow(connection: Any, *args: Any) -> Any:
        from sqlalchemy.util import await_only  # noqa: PLC0415 - the transaction runs in a greenlet

        loop.call_soon(held.set)
        await_only(go_on.wait())
        return contexts(connection, *args)

    store.contexts.build = slow  # type: ignore[method-assign]
    command = start(user="bob")
    starting = asyncio.create_task(store.apply(command))
    await held.wait()
    other = StoreHarness(engine)

    async def list_them() -> list[UUID]:
        if engine.dialect.name == "sqlite":  # one writer at a time, in one process
            other.database._writer = store.database._writer
        await other.database.write(lambda c: account_erasure.record_erasure(c, "bob"))
        await other.database.write(account_erasure.wait_for_joins)
        return await other.database.read(lambda c: account_erasure.sessions_of(c, "bob", account_erasure.FIRST))

    listing = asyncio.create_task(list_them())
    await asyncio.wait((listing,), timeout=0.3)
    assert not listing.done()
    go_on.set()
    await starting
    assert await listing == [command.session_id]


async def test_deleted_session_is_purged_in_chunks(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tombstone and the ids of its commands stay; other sessions do not change."""
    monkeypatch.setattr(sweep, "CHUNK", 3)
    session_id, other = await store.session("bob", title="canary"), await store.session(title="kept")
    for each in (session_id, other):
        for n in range(4):
            await store.turn(each, f"canary {n}" if each == session_id else "kept")
    renamed = received(UpdateSession(session_id=session_id, user_id="ada", title="canary 2", reply_policy=None))
    await store.apply_received(renamed)
    await store.do(LeaveSession, session_id, "bob")
    gone = received(DeleteSession(session_id=session_id, user_id="ada"))
    await store.apply_received(gone)
    before = await store.join(other)
    now = utc_now()
    assert not await store.database.write(lambda c: sweep.purge_session(c, now))  # its repeat must find its members
    chunks = 0
    while await store.database.write(lambda c: sweep.purge_session(c, now + 2 * sweep.PURGE_AFTER)):
        chunks += 1
    assert chunks > 5
    assert "canary" not in await dump(store)
    assert await store.join(other) == before
    sessions, messages, users = [
        await store.database.read(lambda c, t=table: c.scalar(select(func.count()).select_from(t)))  # type: ignore[misc]
        for table in (chat_sessions, chat_messages, session_users)
    ]
    assert (sessions, messages, users) == (2, 8, 1)
    assert outcome(await store.apply_received(gone)) == {}
    assert outcome(await store.apply_received(renamed)) == "unavailable"  # it was done; its words had to go


async def test_old_commands_and_expired_invites_are_deleted(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recent ones stay."""
    monkeypatch.setattr(sweep, "CHUNK", 2)
    session_id = await store.session("bob", "cem", "dan")
    count = select(func.count()).select_from(applied_commands)
    assert await store.database.read(lambda c: c.scalar(count)) == 4
    now = utc_now()
    assert not await store.database.write(lambda c: sweep.delete_commands(c, now))
    later = now + 2 * sweep.COMMANDS_KEPT
    assert await store.database.write(lambda c: sweep.delete_commands(c, later))
    while await store.database.write(lambda c: sweep.delete_commands(c, later)):
        pass
    assert await store.database.read(lambda c: c.scalar(count)) == 0
    assert "session" in await store.do(AcceptInvite, session_id, "eve", invite_hash="h")
    await store.database.write(lambda c: sweep.delete_invites(c, later))
    assert await store.do(AcceptInvite, session_id, "fay", invite_hash="h") == "not_found"
