"""What a worker does with its log: stores once, in order, tells all, survives poison and lost publications."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.storage.database import Database, refuse_other_partitions
from shared.contracts import ids, topology
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import ChatbotsAnnounced, MessageRejected, MessageStored, SessionHead
from shared.contracts.queries import IsTurnOpen, JoinSession, Reply
from shared.contracts.turns import RunTurn
from tests.contract.store.desk import ADA, CARDS, NOON, finish, send, soon, start
from tests.integration.persistence_worker.conftest import PARTITIONS, Running, Worker


async def opened(running: Running, **more: object) -> UUID:
    """A session that exists."""
    command = start(**more)
    running.put(command)
    await running.until(lambda: running.bus.answers)
    running.bus.answers, running.bus.opened = [], running.bus.answers
    return command.session_id


async def test_the_main_job(worker: Worker) -> None:
    """Start, send, reply, join: each step is told and the query sees it all."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        reply = bus.opened[0][1].data
        assert isinstance(reply, Reply)
        assert reply.result is not None
        assert reply.result["session"]["chatbots"] == [{"id": "echo", "name": "Echo"}]
        running.put(send(session_id, "hello"))
        [turn] = await running.until(lambda: bus.events(RunTurn))
        running.put(finish(turn))
        await running.until(lambda: len(bus.events(MessageStored)) == 2)
        query = JoinSession(user_id=ADA, session_id=session_id, after_seq=None, limit=50)
        bus.put(topology.query_queue(), Event("tests", query, replyto="me"))
        [(_, answer)] = await running.until(lambda: bus.answers)
        assert [m["seq"] for m in answer.data.result["messages"]] == [1, 2]
        assert running.count("backchat_messages_stored_total", sender_type="user") == 1
        assert running.service.missing() == []


async def test_poison_is_split_out_and_its_neighbours_are_stored(worker: Worker) -> None:
    """NUL is refused by PostgreSQL, a strange type by us: dead letters, a word to the author, the rest in order."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        bad = send(session_id, "bad", client_message_id="b")
        refused = {"content": None} if bus.dialect == "sqlite" else {"content": "a\x00b"}
        strange = Event("tests", bad, subject=str(session_id))
        object.__setattr__(strange, "data", bad.model_copy(update=refused))
        events = [Event("tests", send(session_id, str(n)), subject=str(session_id)) for n in range(4)]
        number = ids.partition(session_id, PARTITIONS)
        queue = topology.log_queue(number, PARTITIONS)
        bus.put(queue, *events[:2], strange, *events[2:])
        await running.until(lambda: len(bus.events(MessageStored)) == 4)
        await running.until(lambda: not bus.held(queue))
        assert [m.message.content for m in bus.events(MessageStored)] == ["0", "1", "2", "3"]
        [letter] = bus.events(DeadLetter)
        assert letter.queue == queue.name
        assert read_body(letter.original())[0].id == strange.id
        [rejected] = bus.events(MessageRejected)
        assert (rejected.message_id, rejected.code, rejected.client_message_id) == (bad.message_id, "internal", "b")
        assert running.count("backchat_poison_events_total", queue=queue.name) == 1


async def test_an_older_list_of_chatbots_is_passed_over_and_that_is_said_once(worker: Worker) -> None:
    """Workers announce theirs each minute; the newest stands."""
    older = ChatbotsAnnounced(chatbots=CARDS[:1], modified_at=NOON - timedelta(days=1))
    with structlog.testing.capture_logs() as lines:
        async with worker() as running:
            queue = topology.catalogue_queue()
            running.bus.put(queue, *[Event("tests", older) for _ in range(3)])
            await running.until(lambda: not running.bus.held(queue))
            running.put(start(chatbot_ids=[card.id for card in CARDS]))
            [(_, answer)] = await running.until(lambda: running.bus.answers)
            assert answer.data.result, answer
    told = [line for line in lines if "passed over" in line["event"]]
    assert [(line["log_level"], line["modified_at"]) for line in told] == [("warning", older.modified_at.isoformat())]


async def test_what_is_no_event_is_put_aside(worker: Worker) -> None:
    """A body that is no JSON, and an event of a type that this release does not know."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        queue = topology.log_queue(ids.partition(session_id, PARTITIONS), PARTITIONS)
        bus.put(queue, body=b"not json")
        bus.put(queue, Event("tests", IsTurnOpen(session_id=session_id, message_id=uuid4())))
        running.put(send(session_id, "after them"))
        await running.until(lambda: bus.events(MessageStored))
        await running.until(lambda: not bus.held(queue))
        assert bus.events(DeadLetter)[0].original() == b"not json"
        assert len(bus.events(DeadLetter)) == 2


async def test_a_command_whose_sender_waits_is_told_that_it_is_poison(worker: Worker) -> None:
    """`internal`, at once, instead of silence."""
    async with worker() as running:
        bad = start()
        event = Event("tests", bad, subject=str(bad.session_id), replyto="me")
        object.__setattr__(event, "data", bad.model_copy(update={"reply_policy": "mob rule"}))
        running.bus.put(topology.log_queue(0, PARTITIONS), event)
        [(_, answer)] = await running.until(lambda: running.bus.answers)
        assert answer.data.error.code == "internal"


@pytest.mark.parametrize("lost", ["message", "reply"])
async def test_a_publication_lost_after_the_commit_is_made_up_for(worker: Worker, lost: str) -> None:
    """The change is there once; the head and the open turns are told again, marked and counted."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        if lost == "reply":
            running.put(send(session_id, "one"))
            [turn] = await running.until(lambda: bus.events(RunTurn))
            running.put(send(session_id, "two"))
            await running.until(lambda: len(bus.events(MessageStored)) == 2)
        bus.published.clear()
        bus.failures = 1
        running.put(send(session_id, "hello") if lost == "message" else finish(turn))
        [head] = await running.until(lambda: bus.events(SessionHead))
        [again] = await running.until(lambda: bus.events(RunTurn))
        assert head.last_seq == (1 if lost == "message" else 4)
        assert (again.again, again.starts) == (True, 1)
        assert [m.content for m in again.context if m.unanswered] == ["hello" if lost == "message" else "two"]
        assert bus.events(MessageStored) == []  # the gateway reads it: the head says that it is there
        running.put(finish(again))
        await running.until(lambda: bus.events(MessageStored))


async def test_two_workers_on_one_partition_write_nothing_wrong(worker: Worker) -> None:
    """A zombie and its successor get the same log: one number a message, one turn, one reply."""
    async with worker() as one, worker() as two:
        command = start()
        one.put(command)
        two.put(command)
        await one.until(lambda: one.bus.answers)
        await two.until(lambda: two.bus.answers)
        assert one.bus.answers[0][1].data == two.bus.answers[0][1].data
        messages = [send(command.session_id, str(n)) for n in range(60)]
        for n in range(0, 60, 3):
            one.put(*messages[n : n + 3])
        for n in range(0, 60, 5):
            two.put(*messages[n : n + 5])
        queue = topology.log_queue(ids.partition(command.session_id, PARTITIONS), PARTITIONS)
        await one.until(lambda: not one.bus.held(queue))
        await two.until(lambda: not two.bus.held(queue))
        stored = [e.message for bus in (one.bus, two.bus) for e in bus.events(MessageStored)]
        assert sorted(m.seq for m in stored) == list(range(1, 61))
        assert [m.content for m in sorted(stored, key=lambda m: m.seq)] == [str(n) for n in range(60)]
        turns = {t.message_id: t for bus in (one.bus, two.bus) for t in bus.events(RunTurn)}
        assert len(turns) == 1
        [turn] = turns.values()
        one.put(finish(turn, "from one"))
        two.put(finish(turn, "from two"))
        await one.until(lambda: not one.bus.held(queue))
        await two.until(lambda: not two.bus.held(queue))
        replies = [
            e.message for b in (one.bus, two.bus) for e in b.events(MessageStored) if e.message.sender_type == "chatbot"
        ]
        assert len(replies) == 1


async def test_an_open_turn_is_published_again_after_a_while(worker: Worker) -> None:
    """Marked, with a higher count, and its context whole."""
    async with worker(turn_patience=1) as running:
        session_id = await opened(running)
        running.put(send(session_id, "hello"))
        await running.until(lambda: len(running.bus.events(RunTurn)) >= 2)
        first, again = running.bus.events(RunTurn)[:2]
        assert (again.message_id, again.starts, again.again) == (first.message_id, 1, True)
        assert again.context == first.context


async def test_a_body_delivered_often_is_taken_event_by_event(worker: Worker) -> None:
    """The first body that a process takes, from the third redelivery on: each event has a transaction of its own."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
    async with worker(bus) as running:
        running.put(*(send(session_id, str(n)) for n in range(3)), delivery_count=3)
        await running.until(lambda: len(bus.events(MessageStored)) == 3)
        assert running.count("backchat_batch_commands_count") == 3


async def test_queries_are_answered_or_dropped(worker: Worker) -> None:
    """A stable error for what is wrong; silence for who has gone."""
    async with worker() as running:
        bus = running.bus
        ask = JoinSession(user_id=ADA, session_id=uuid4(), after_seq=None, limit=50)
        late = Event("tests", ask, replyto="me", deadline=soon(-1))
        bus.put(topology.query_queue(), late, Event("tests", ask, replyto="me"), Event("tests", start(), replyto="me"))
        await running.until(lambda: len(bus.answers) == 2)
        assert [answer.data.error.code for _, answer in bus.answers] == ["not_found", "invalid_request"]


async def test_a_stop_finishes_what_was_begun_and_hands_the_rest_back(worker: Worker) -> None:
    """Draining ends quickly, and nothing that was not applied is acked."""
    async with worker() as running:
        session_id = await opened(running)
        running.put(*(send(session_id, str(n)) for n in range(20)))
        assert running.service.drain is not None
        async with asyncio.timeout(30):
            await running.service.drain()
        queue = topology.log_queue(ids.partition(session_id, PARTITIONS), PARTITIONS)
        stored = len(running.bus.events(MessageStored))
        assert (stored, len(running.bus.queues[queue.name].ready)) in ((0, 1), (20, 0))
        running.put(send(session_id, "after the stop"))
        assert running.bus.queues[queue.name].ready


async def test_another_number_of_partitions_ends_the_process(
    worker: Worker, engine: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a line that names the variable."""
    async with worker():
        pass
    await refuse_other_partitions(engine, PARTITIONS)
    for refused in (Database(engine, PARTITIONS + 1).watch(), refuse_other_partitions(engine, PARTITIONS + 1)):
        with pytest.raises(SystemExit) as caught:
            await refused
        assert caught.value.code == 2
    assert capsys.readouterr().err.count("BACKCHAT_PARTITIONS: is 3") == 2


async def test_an_empty_database_refuses_nobody(empty_engine: AsyncEngine) -> None:
    """The look before the start tells only what it can."""
    await refuse_other_partitions(empty_engine, PARTITIONS)
