"""Erasure: what a deleted account wrote goes from every session, and nothing of theirs comes back."""

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
from tests.contract.store.desk import Desk, finish, order, outcome, send, soon, start


async def erase(desk: Desk, session_id: UUID, user: str) -> list[int]:
    """As often as it asks for more; the numbers of the messages that were changed."""
    numbers: list[int] = []
    command: EraseAuthor | None = EraseAuthor(session_id=session_id, user_id=user)
    while command is not None:
        await desk.apply(command)
        numbers += [message.updated_seq for message in desk.changed]
        command = next(iter(desk.events(EraseAuthor)), None)
    return numbers


async def dump(desk: Desk) -> str:
    """Everything that the database holds, as text."""

    def read(connection: Any) -> str:
        return "\n".join(str(row) for table in metadata.tables.values() for row in connection.execute(select(table)))

    return await desk.database.read(read)


async def test_words_go_and_numbers_stay(desk: Desk) -> None:
    """Each message keeps its place, empty and `erased`, under a number of its own; others' words stay."""
    session_id = await desk.session("bob", chatbot_ids=["eliza"])
    await desk.apply(send(session_id, "a canary sings", "bob", client_message_id="canary-id"))
    [turn] = desk.turns
    await desk.apply(finish(turn, "does it?"))
    assert desk.updated[0].title == "a canary sings"
    await desk.do(UpdateSession, session_id, "bob", title="canary title", reply_policy=None)
    await desk.do(RateReply, session_id, "bob", message_id=turn.message_id, rating=1, comment="canary comment")
    await desk.apply(send(session_id, "mine"))
    await desk.apply(finish(desk.turns[0], "yours"))
    last = (await desk.join(session_id)).last_seq
    numbers = await erase(desk, session_id, "bob")
    joined = await desk.join(session_id)
    assert [(m.content, m.status) for m in joined.messages] == [
        ("", "erased"),
        ("does it?", "complete"),
        ("mine", "complete"),
        ("yours", "complete"),
    ]
    assert (joined.session.title, joined.session.users, joined.last_seq) == (None, ["ada"], last + 3)
    assert numbers == [last + 3]
    assert "canary" not in await dump(desk)
    with pytest.raises(NotFound):
        await desk.join(session_id, user="bob")
    assert await desk.database.read(lambda c: account_erasure.sessions_of(c, "bob", account_erasure.FIRST)) == []


async def test_a_long_history_is_erased_piece_by_piece(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction grows with the session; a repeat of any piece changes nothing."""
    monkeypatch.setattr(history, "ERASED_AT_ONCE", 3)
    monkeypatch.setattr(history, "WINDOW", 5)
    session_id = await desk.session("bob", reply_policy="silent")
    await desk.apply(*(send(session_id, str(n), "bob" if n % 4 else "ada") for n in range(40)))
    assert len(await erase(desk, session_id, "bob")) == 30
    before = await desk.join(session_id)
    assert {m.sender_id for m in before.messages if m.content} == {"ada"}
    assert await erase(desk, session_id, "bob") == []
    assert await desk.join(session_id) == before


async def test_a_session_of_nobody_else_goes_whole(desk: Desk) -> None:
    """And the owner's erasure passes on one that others are in."""
    alone, shared = await desk.session(), await desk.session("bob")
    await desk.apply(EraseAuthor(session_id=alone, user_id="ada"), EraseAuthor(session_id=shared, user_id="ada"))
    assert [(e.session_id, e.whole) for e in desk.events(SessionDeleted)] == [(alone, True), (shared, False)]
    assert (await desk.join(shared, user="bob")).session.owner_id == "bob"


async def test_every_session_is_found_also_those_that_were_left(desk: Desk) -> None:
    """In pages; strangers' sessions are not among them."""
    mine, left = await desk.session(), await desk.session("bob")
    await desk.do(LeaveSession, left)
    await desk.session(user="bob")
    found = await desk.database.read(lambda c: account_erasure.sessions_of(c, "ada", account_erasure.FIRST))
    assert found == sorted([mine, left], key=str)
    assert await desk.database.read(lambda c: account_erasure.sessions_of(c, "ada", found[-1])) == found[-1:]


async def test_an_erased_id_enters_nothing_any_more(desk: Desk) -> None:
    """Neither a session of its own nor another's, by a command that was under way."""
    session_id = await desk.session()
    await desk.do(CreateInvite, session_id, invite_hash="h", expires_at=soon(60), max_uses=None)
    for _ in range(2):
        await desk.database.write(lambda c: account_erasure.keep(c, "bob"))
    assert outcome(await desk.apply(start(user="bob"))) == "not_found"
    assert await desk.do(AcceptInvite, session_id, "bob", invite_hash="h") == "not_found"
    assert "session" in await desk.do(AcceptInvite, session_id, "cem", invite_hash="h")


async def test_a_session_under_way_is_waited_for(engine: AsyncEngine, desk: Desk) -> None:
    """A transaction that did not know yet ends before the sessions are listed: none slips through."""
    held, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    contexts = desk.ledger.contexts

    def slow(connection: Any, *args: Any) -> Any:
        from sqlalchemy.util import await_only  # noqa: PLC0415 - the transaction runs in a greenlet

        loop.call_soon(held.set)
        await_only(go_on.wait())
        return contexts(connection, *args)

    desk.ledger.contexts = slow  # type: ignore[method-assign]
    command = start(user="bob")
    starting = asyncio.create_task(desk.apply(command))
    await held.wait()
    other = Desk(engine)

    async def list_them() -> list[UUID]:
        if engine.dialect.name == "sqlite":  # one writer at a time, in one process
            other.database._writer = desk.database._writer
        await other.database.write(lambda c: account_erasure.keep(c, "bob"))
        await other.database.write(account_erasure.wait_for_entries)
        return await other.database.read(lambda c: account_erasure.sessions_of(c, "bob", account_erasure.FIRST))

    listing = asyncio.create_task(list_them())
    await asyncio.wait((listing,), timeout=0.3)
    assert not listing.done()
    go_on.set()
    await starting
    assert await listing == [command.session_id]


async def test_a_deleted_session_is_purged_in_chunks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes but the tombstone and the ids of commands; other sessions are not touched."""
    monkeypatch.setattr(sweep, "CHUNK", 3)
    session_id, other = await desk.session("bob", title="canary"), await desk.session(title="kept")
    for each in (session_id, other):
        for n in range(4):
            await desk.turn(each, f"canary {n}" if each == session_id else "kept")
    renamed = order(UpdateSession(session_id=session_id, user_id="ada", title="canary 2", reply_policy=None))
    await desk.apply_orders(renamed)
    await desk.do(LeaveSession, session_id, "bob")
    gone = order(DeleteSession(session_id=session_id, user_id="ada"))
    await desk.apply_orders(gone)
    before = await desk.join(other)
    now = utc_now()
    assert not await desk.database.write(lambda c: sweep.purge(c, now))  # its repeat must find its members
    chunks = 0
    while await desk.database.write(lambda c: sweep.purge(c, now + 2 * sweep.PURGE_AFTER)):
        chunks += 1
    assert chunks > 5
    assert "canary" not in await dump(desk)
    assert await desk.join(other) == before
    sessions, messages, users = [
        await desk.database.read(lambda c, t=table: c.scalar(select(func.count()).select_from(t)))  # type: ignore[misc]
        for table in (chat_sessions, chat_messages, session_users)
    ]
    assert (sessions, messages, users) == (2, 8, 1)
    assert outcome(await desk.apply_orders(gone)) == {}
    assert outcome(await desk.apply_orders(renamed)) == "unavailable"  # it was done; its words had to go


async def test_old_commands_and_invites_are_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are not old stay."""
    monkeypatch.setattr(sweep, "CHUNK", 2)
    session_id = await desk.session("bob", "cem", "dan")
    count = select(func.count()).select_from(applied_commands)
    assert await desk.database.read(lambda c: c.scalar(count)) == 4
    now = utc_now()
    assert not await desk.database.write(lambda c: sweep.forget_commands(c, now))
    later = now + 2 * sweep.COMMANDS_KEPT
    assert await desk.database.write(lambda c: sweep.forget_commands(c, later))
    while await desk.database.write(lambda c: sweep.forget_commands(c, later)):
        pass
    assert await desk.database.read(lambda c: c.scalar(count)) == 0
    assert "session" in await desk.do(AcceptInvite, session_id, "eve", invite_hash="h")
    await desk.database.write(lambda c: sweep.forget_invites(c, later))
    assert await desk.do(AcceptInvite, session_id, "fay", invite_hash="h") == "not_found"
