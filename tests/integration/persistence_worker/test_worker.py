"""A whole worker: it stores each command once, in order, publishes it, and survives poison and lost publications."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.storage.database import Database, refuse_other_partitions
from shared.contracts import topology
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import ChatbotsAnnounced, MessageRejected, MessageStored, SessionHead
from shared.contracts.payload import rfc3339
from shared.contracts.queries import IsTurnOpen, JoinSession
from shared.contracts.turns import RunTurn
from tests.integration.persistence_worker.conftest import PARTITIONS, Worker, queue_of
from tests.support.commands import ADA, CARDS, NOON, finish, send, soon, start
from tests.support.waiting import until


async def test_message_and_reply_are_published_and_readable(worker: Worker) -> None:
    """Start a session, send, finish the reply, join: each step is published, and the query returns all of them."""
    async with worker() as running:
        bus = running.bus
        command = start()
        running.put(command)
        [reply] = await until(lambda: running.answers)
        session_id = command.session_id
        assert reply.result is not None
        assert reply.result["session"]["chatbots"] == [{"id": "echo", "name": "Echo"}]
        running.put(send(session_id, "hello"))
        [turn] = await until(lambda: bus.events(RunTurn))
        running.put(finish(turn))
        await until(lambda: len(bus.events(MessageStored)) == 2)
        query = JoinSession(user_id=ADA, session_id=session_id, after_seq=None, limit=50)
        bus.deliver(topology.query_queue(), Event("tests", query, replyto="me"))
        [_, answer] = await until(lambda: len(answers := running.answers) == 2 and answers)
        assert [m["seq"] for m in answer.result["messages"]] == [1, 2]
        assert running.count("backchat_messages_stored_total", sender_type="user") == 1
        assert running.service.missing() == []


async def test_poison_becomes_a_dead_letter_and_the_rest_of_its_body_is_stored(worker: Worker) -> None:
    """PostgreSQL refuses NUL, the contract a missing content; the author gets a rejection, the order is kept."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        bad = send(session_id, "bad", client_message_id="b")
        refused = {"content": None} if running.dialect == "sqlite" else {"content": "a\x00b"}
        strange = Event("tests", bad.replace(**refused), subject=str(session_id))
        events = [Event("tests", send(session_id, str(n)), subject=str(session_id)) for n in range(4)]
        queue = queue_of(session_id)
        bus.deliver(queue, *events[:2], strange, *events[2:])
        await until(lambda: len(bus.events(MessageStored)) == 4)
        await running.drained(session_id)
        assert [m.message.content for m in bus.events(MessageStored)] == ["0", "1", "2", "3"]
        [letter] = bus.events(DeadLetter)
        assert letter.queue == queue.name
        assert read_body(letter.original())[0].id == strange.id
        [rejected] = bus.events(MessageRejected)
        assert (rejected.message_id, rejected.code, rejected.client_message_id) == (bad.message_id, "internal", "b")
        assert running.count("backchat_poison_events_total", queue=queue.name) == 1


async def test_older_catalogue_is_ignored_with_one_warning(worker: Worker) -> None:
    """Chatbot workers announce theirs every minute; the newest one stays."""
    older = ChatbotsAnnounced(chatbots=CARDS[:1], modified_at=rfc3339(NOON - timedelta(days=1)))
    with structlog.testing.capture_logs() as lines:
        async with worker() as running:
            queue = topology.catalogue_queue()
            running.bus.deliver(queue, *[Event("tests", older) for _ in range(3)])
            await until(lambda: not running.bus.holds(queue))
            running.put(start(chatbot_ids=[card.id for card in CARDS]))
            [answer] = await until(lambda: running.answers)
            assert answer.result, answer
    ignored = [line for line in lines if line["event"] == "catalogue.ignored"]
    assert [(line["log_level"], line["modified_at"]) for line in ignored] == [("warning", older.modified_at)]


async def test_body_that_is_not_a_command_becomes_a_dead_letter(worker: Worker) -> None:
    """A body that is not JSON, and an event of a type that is not a command."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        queue = queue_of(session_id)
        bus.deliver(queue, body=b"not json")
        bus.deliver(queue, Event("tests", IsTurnOpen(session_id=session_id, message_id=uuid4())))
        running.put(send(session_id, "after them"))
        await until(lambda: bus.events(MessageStored))
        await running.drained(session_id)
        assert bus.events(DeadLetter)[0].original() == b"not json"
        assert len(bus.events(DeadLetter)) == 2


async def test_poison_command_is_answered_with_internal(worker: Worker) -> None:
    """Its sender does not wait for the timeout."""
    async with worker() as running:
        bad = start()
        strange = bad.replace(reply_policy="mob rule")
        event = Event("tests", strange, subject=str(bad.session_id), replyto="me")
        running.bus.deliver(topology.log_queue(0, PARTITIONS), event)
        [answer] = await until(lambda: running.answers)
        assert answer.error.code == "internal"


@pytest.mark.parametrize("lost", ["message", "reply"])
async def test_publications_lost_after_the_commit_are_repeated(worker: Worker, lost: str) -> None:
    """The change is stored once; the session's head and its open turn are published again."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        if lost == "reply":
            running.put(send(session_id, "one"))
            [turn] = await until(lambda: bus.events(RunTurn))
            running.put(send(session_id, "two"))
            await until(lambda: len(bus.events(MessageStored)) == 2)
        bus.published.clear()
        bus.failures = 1
        running.put(send(session_id, "hello") if lost == "message" else finish(turn))
        [head] = await until(lambda: bus.events(SessionHead))
        [again] = await until(lambda: bus.events(RunTurn))
        assert head.last_seq == (1 if lost == "message" else 4)
        assert (again.again, again.starts) == (True, 1)
        assert [m.content for m in again.context if m.unanswered] == ["hello" if lost == "message" else "two"]
        assert bus.events(MessageStored) == []  # gateways read it, because the head shows that it exists
        running.put(finish(again))
        await until(lambda: bus.events(MessageStored))


async def test_two_workers_on_one_partition_store_each_command_once(worker: Worker) -> None:
    """A worker and its successor process the same log: one number per message, one turn, one reply."""
    async with worker() as one, worker() as two:
        command = start()
        one.put(command)
        two.put(command)
        await until(lambda: one.answers)
        await until(lambda: two.answers)
        first, second = one.answers[0].result, two.answers[0].result
        assert first["session"] == second["session"]
        assert first["created"] != second["created"]
        messages = [send(command.session_id, str(n)) for n in range(60)]
        for n in range(0, 60, 3):
            one.put(*messages[n : n + 3])
        for n in range(0, 60, 5):
            two.put(*messages[n : n + 5])
        await one.drained(command.session_id)
        await two.drained(command.session_id)
        stored = [e.message for bus in (one.bus, two.bus) for e in bus.events(MessageStored)]
        assert sorted(m.seq for m in stored) == list(range(1, 61))
        assert [m.content for m in sorted(stored, key=lambda m: m.seq)] == [str(n) for n in range(60)]
        turns = {t.message_id: t for bus in (one.bus, two.bus) for t in bus.events(RunTurn)}
        assert len(turns) == 1
        [turn] = turns.values()
        one.put(finish(turn, "from one"))
        two.put(finish(turn, "from two"))
        await one.drained(command.session_id)
        await two.drained(command.session_id)
        replies = [
            e.message for b in (one.bus, two.bus) for e in b.events(MessageStored) if e.message.sender_type == "chatbot"
        ]
        assert len(replies) == 1


async def test_overdue_turn_is_republished(worker: Worker) -> None:
    """It is marked as such, with a higher count of starts and the same context."""
    async with worker(turn_patience=1) as running:
        session_id = await running.opened()
        running.put(send(session_id, "hello"))
        await until(lambda: len(running.bus.events(RunTurn)) >= 2)
        first, again = running.bus.events(RunTurn)[:2]
        assert (again.message_id, again.starts, again.again) == (first.message_id, 1, True)
        assert again.context == first.context


async def test_body_delivered_often_is_committed_event_by_event(worker: Worker) -> None:
    """If it is the first body of a process, from the third redelivery on."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
    async with worker(bus) as running:
        running.put(*(send(session_id, str(n)) for n in range(3)), delivery_count=3)
        await until(lambda: len(bus.events(MessageStored)) == 3)
        assert running.count("backchat_batch_commands_count") == 3


async def test_invalid_queries_get_an_error_and_late_ones_no_answer(worker: Worker) -> None:
    async with worker() as running:
        bus = running.bus
        ask = JoinSession(user_id=ADA, session_id=uuid4(), after_seq=None, limit=50)
        late = Event("tests", ask, replyto="me", deadline=soon(-1))
        bus.deliver(
            topology.query_queue(), late, Event("tests", ask, replyto="me"), Event("tests", start(), replyto="me")
        )
        await until(lambda: len(running.answers) == 2)
        assert [answer.error.code for answer in running.answers] == ["not_found", "invalid_request"]


async def test_drain_commits_the_running_batch_and_requeues_the_rest(worker: Worker) -> None:
    """It ends quickly, and acknowledges only what was applied."""
    async with worker() as running:
        session_id = await running.opened()
        running.put(*(send(session_id, str(n)) for n in range(20)))
        assert running.service.drain is not None
        async with asyncio.timeout(30):
            await running.service.drain()
        queue = queue_of(session_id)
        stored = len(running.bus.events(MessageStored))
        assert (stored, running.bus.waiting(queue)) in ((0, 1), (20, 0))
        running.put(send(session_id, "after the stop"))
        assert running.bus.waiting(queue)


async def test_another_number_of_partitions_ends_the_process(
    worker: Worker, engine: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, and a line that names the variable."""
    async with worker():
        pass
    await refuse_other_partitions(engine, PARTITIONS)
    for refused in (Database(engine, PARTITIONS + 1).watch(), refuse_other_partitions(engine, PARTITIONS + 1)):
        with pytest.raises(SystemExit) as caught:
            await refused
        assert caught.value.code == 2
    assert capsys.readouterr().err.count("BACKCHAT_PARTITIONS: is 3") == 2


async def test_check_of_partitions_accepts_a_database_without_tables(empty_engine: AsyncEngine) -> None:
    await refuse_other_partitions(empty_engine, PARTITIONS)
