"""What outlives a worker and what goes through the log again: stops, erasure, and news that were lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from persistence_worker.domain.rules import replies
from persistence_worker.storage import history
from shared.contracts import topology
from shared.contracts.accounts import UserDeleted
from shared.contracts.commands import AcceptInvite, CreateInvite, EditMessage, LeaveSession, StopReply
from shared.contracts.envelope import Event
from shared.contracts.events import MessageStored, MessageUpdated, SessionDeleted, SessionUpdated
from shared.contracts.turns import RunTurn, StopTurn
from tests.contract.store.desk import NOON, finish, send, soon
from tests.integration.persistence_worker.conftest import Worker
from tests.integration.persistence_worker.test_worker import opened


async def test_a_stop_that_no_worker_answers_outlives_a_restart(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next finds it on the turn and stores the reply as stopped and empty; the worker's is too late."""
    monkeypatch.setattr(replies, "STOP_GRACE", timedelta(seconds=0.3))
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        running.put(send(session_id))
        [turn] = await running.until(lambda: bus.events(RunTurn))
        running.put(StopReply(session_id=session_id, user_id="ada", message_id=turn.message_id))
        [stop] = await running.until(lambda: bus.events(StopTurn))
        assert stop.message_id == turn.message_id
        await running.until(lambda: bus.answers)
    async with worker(bus) as running:
        [_, stored] = await running.until(lambda: len(found := bus.events(MessageStored)) > 1 and found)
        assert (stored.message.id, stored.message.content, stored.message.status) == (turn.message_id, "", "stopped")
        running.put(finish(turn, "too late"), send(session_id, "next"))
        await running.until(lambda: len(bus.events(RunTurn)) == 2)
        assert [event.message.status for event in bus.events(MessageStored)] == ["complete", "stopped", "complete"]


async def test_a_deleted_account_is_erased_from_every_session(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One command a session, and further ones where one was not enough, all through the log; told twice, done once."""
    monkeypatch.setattr(history, "ERASED_AT_ONCE", 2)
    async with worker() as running:
        bus = running.bus
        sessions = [await opened(running, reply_policy="silent") for _ in range(2)]
        for session_id in sessions:
            fields = {"session_id": session_id, "user_id": "ada"}
            running.put(
                CreateInvite(**fields, invite_hash=str(session_id), expires_at=soon(60), max_uses=None),
                AcceptInvite(session_id=session_id, user_id="bob", invite_hash=str(session_id)),
                *(send(session_id, str(n), "bob") for n in range(5)),
                send(session_id, "ada's"),
            )
        await running.until(lambda: len(bus.events(MessageStored)) == 12)
        for _ in range(2):
            deleted = UserDeleted(user_id="bob", deleted_at=NOON)
            bus.put(topology.accounts_queue(), Event("tests", deleted))
        await running.until(lambda: len(bus.events(MessageUpdated)) >= 10)
        await running.until(
            lambda: (
                not any(
                    queue.ready or bus.busy[name]
                    for name, queue in bus.queues.items()
                    if name.startswith("persistence.")
                )
            )
        )
        changed = [event.message for event in bus.events(MessageUpdated)]
        assert {(m.content, m.status, m.sender_id) for m in changed} == {("", "erased", "bob")}
        for session_id in sessions:
            numbers = [m.updated_seq for m in changed if m.session_id == session_id]
            assert numbers == list(range(9, 14))  # 1 the joining, 2-7 the messages, 8 the parting
        gone = [event for event in bus.events(SessionDeleted) if not event.whole]
        assert {(event.session_id, *event.users) for event in gone} == {(each, "bob") for each in sessions}


async def test_what_a_crash_swallowed_is_told_again(worker: Worker) -> None:
    """Committed, but nobody heard: the repeat tells whoever left, and everybody else, and changes nothing."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        running.put(
            CreateInvite(session_id=session_id, user_id="ada", invite_hash="h", expires_at=soon(60), max_uses=1),
            AcceptInvite(session_id=session_id, user_id="bob", invite_hash="h"),
        )
        await running.until(lambda: len(bus.answers) == 2)
        bus.published.clear()
        bus.failures = 1
        running.put(LeaveSession(session_id=session_id, user_id="bob"))
        [gone] = await running.until(lambda: bus.events(SessionDeleted))
        assert (gone.users, gone.whole) == (["bob"], False)
        assert [(s.session.users, s.session.seq) for s in bus.events(SessionUpdated)] == [(["ada"], 2)]
        await running.until(lambda: len(bus.answers) == 3)
        assert bus.answers[2][1].data.error is None


async def test_a_command_that_looks_back_sees_what_came_before_it_in_its_body(worker: Worker) -> None:
    """Sent together, applied in order: the edit finds the message, and what comes after it is numbered after it."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        first, last = send(session_id, "one"), send(session_id, "helo")
        edit = EditMessage(session_id=session_id, user_id="ada", message_id=last.message_id, content="hello")
        running.put(first, last, edit, after := send(session_id, "three"))
        await running.until(lambda: len(bus.events(MessageStored)) == 4 and bus.events(MessageUpdated))
        stored = {event.message.id: event.message.seq for event in bus.events(MessageStored)}
        [changed] = [e.message for e in bus.events(MessageUpdated)]
        assert (changed.content, changed.seq, changed.updated_seq) == ("hello", 2, 3)
        cut = [event.message for event in bus.events(MessageStored) if event.message.status == "stopped"]
        assert [(m.seq, m.content) for m in cut] == [(4, "")]
        assert stored[after.message_id] == 5
