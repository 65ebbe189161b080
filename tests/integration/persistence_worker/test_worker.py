"""What a worker does with its log: stores once, in order, tells all, survives poison and lost publications."""

from __future__ import annotations

from uuid import uuid4

from shared.contracts import topology
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event
from shared.contracts.events import MessageRejected, MessageStored, SessionHead, SessionUpdated
from shared.contracts.queries import JoinSession, Reply
from shared.contracts.turns import RunTurn
from tests.contract.store.desk import ADA, finish, send, start
from tests.integration.persistence_worker.conftest import PARTITIONS, Running, Worker


async def opened(running: Running, **more: object) -> start:
    """A session that exists."""
    command = start(**more)
    running.put(command)
    await running.until(lambda: running.bus.answers)
    return command.session_id


async def test_the_main_job(worker: Worker) -> None:
    """Start, send, reply, join: each step is told and the query sees it all."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        reply = bus.answers[0][1].data
        assert isinstance(reply, Reply)
        assert reply.result is not None
        assert reply.result["session"]["chatbots"] == [{"id": "echo", "name": "Echo"}]
        running.put(send(session_id, "hello"))
        [turn] = await running.until(lambda: bus.events(RunTurn))
        running.put(finish(turn))
        await running.until(lambda: len(bus.events(MessageStored)) == 2)
        query = JoinSession(user_id=ADA, session_id=session_id, after_seq=None, limit=50)
        bus.answers.clear()
        bus.put(topology.query_queue(), Event("tests", query, replyto="me"))
        [(_, answer)] = await running.until(lambda: bus.answers)
        assert [m["seq"] for m in answer.data.result["messages"]] == [1, 2]
        assert running.count("backchat_messages_stored_total", sender_type="user") == 1
        assert running.service.missing() == []
