"""Commands whose effect survives a crash: stops, erasure, and publications that were lost."""

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
from shared.contracts.payload import rfc3339
from shared.contracts.turns import RunTurn, StopTurn
from tests.integration.persistence_worker.conftest import Worker
from tests.support.commands import NOON, expiry, finish, send
from tests.support.waiting import until


async def test_unanswered_stop_ends_the_turn_after_a_restart(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next worker stores the reply as stopped, without text; the reply of the chatbot worker is then too late."""
    monkeypatch.setattr(replies, "STOP_GRACE", timedelta(seconds=0.3))
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        running.put(send(session_id))
        [turn] = await until(lambda: bus.events(RunTurn))
        running.put(StopReply(session_id=session_id, user_id="ada", message_id=turn.message_id))
        [stop] = await until(lambda: bus.events(StopTurn))
        assert stop.message_id == turn.message_id
        await until(lambda: running.answers)
    async with worker(bus) as running:
        [_, stored] = await until(lambda: len(found := bus.events(MessageStored)) > 1 and found)
        assert (stored.message.id, stored.message.content, stored.message.status) == (turn.message_id, "", "stopped")
        running.put(finish(turn, "too late"), send(session_id, "next"))
        await until(lambda: len(bus.events(RunTurn)) == 2)
        assert [event.message.status for event in bus.events(MessageStored)] == ["complete", "stopped", "complete"]


async def test_deleted_account_is_erased_from_every_session(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one command per session, and follow-up commands, all through the log; a repeated event changes nothing."""
    monkeypatch.setattr(history, "ERASED_MAX", 2)
    async with worker() as running:
        bus = running.bus
        sessions = [await running.opened(reply_policy="silent") for _ in range(2)]
        for session_id in sessions:
            fields = {"session_id": session_id, "user_id": "ada"}
            running.put(
                CreateInvite(**fields, invite_hash=str(session_id), expires_at=expiry(60), max_uses=None),
                AcceptInvite(session_id=session_id, user_id="bob", invite_hash=str(session_id)),
                *(send(session_id, str(n), "bob") for n in range(5)),
                send(session_id, "ada's"),
            )
        await until(lambda: len(bus.events(MessageStored)) == 12)
        for _ in range(2):
            deleted = UserDeleted(user_id="bob", deleted_at=rfc3339(NOON))
            bus.deliver(topology.accounts_queue(), Event("tests", deleted))
        await until(lambda: len(bus.events(MessageUpdated)) >= 10)
        await until(
            lambda: not any(bus.holds(queue) for queue in bus.declared if queue.name.startswith("persistence."))
        )
        changed = [event.message for event in bus.events(MessageUpdated)]
        assert {(m.content, m.status, m.sender_id) for m in changed} == {("", "erased", "bob")}
        for session_id in sessions:
            numbers = [m.updated_seq for m in changed if m.session_id == session_id]
            assert numbers == list(range(9, 14))  # 1 joined, 2-7 the messages, 8 left
        gone = [event for event in bus.events(SessionDeleted) if not event.whole]
        assert {(event.session_id, *event.users) for event in gone} == {(each, "bob") for each in sessions}


async def test_lost_publications_of_a_leave_are_repeated(worker: Worker) -> None:
    """Committed, but not published: the repeated command notifies former and present members, and changes nothing."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        running.put(
            CreateInvite(session_id=session_id, user_id="ada", invite_hash="h", expires_at=expiry(60), max_uses=1),
            AcceptInvite(session_id=session_id, user_id="bob", invite_hash="h"),
        )
        await until(lambda: len(running.answers) == 2)
        bus.published.clear()
        bus.failures = 1
        running.put(LeaveSession(session_id=session_id, user_id="bob"))
        [gone] = await until(lambda: bus.events(SessionDeleted))
        assert (gone.users, gone.whole) == (["bob"], False)
        assert [(s.session.users, s.session.seq) for s in bus.events(SessionUpdated)] == [(["ada"], 2)]
        await until(lambda: len(running.answers) == 3)
        assert running.answers[2].error is None


async def test_exclusive_command_sees_earlier_commands_of_its_body(worker: Worker) -> None:
    """The edit finds the message that was sent in the same body, and later messages have later numbers."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        first, last = send(session_id, "one"), send(session_id, "helo")
        edit = EditMessage(session_id=session_id, user_id="ada", message_id=last.message_id, content="hello")
        running.put(first, last, edit, after := send(session_id, "three"))
        await until(lambda: len(bus.events(MessageStored)) == 4 and bus.events(MessageUpdated))
        stored = {event.message.id: event.message.seq for event in bus.events(MessageStored)}
        [changed] = [e.message for e in bus.events(MessageUpdated)]
        assert (changed.content, changed.seq, changed.updated_seq) == ("hello", 2, 3)
        stopped = [event.message for event in bus.events(MessageStored) if event.message.status == "stopped"]
        assert [(m.seq, m.content) for m in stopped] == [(4, "")]
        assert stored[after.message_id] == 5
