"""Events that can never be applied: those that end their process, and the turns of replies that are poison."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.partition_consumer import CAREFUL_FROM, CRASHES_MAX, SUSPECT_FROM
from persistence_worker.domain.rules import messages, registry
from persistence_worker.storage.tables import settings
from shared.contracts import topology
from shared.contracts.commands import RateReply
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import MessageRejected, MessageStored
from shared.contracts.turns import RunTurn
from tests.integration.persistence_worker.conftest import Worker, queue_of
from tests.support.commands import ADA, finish, send
from tests.support.fake_bus import FakeBus
from tests.support.waiting import until


async def session_of(worker: Worker) -> tuple[FakeBus, UUID]:
    """Create a session with a worker that ends: for the next worker, the partition's first body is its first."""
    async with worker() as running:
        return running.bus, await running.opened()


async def mark(engine: AsyncEngine, session_id: UUID, event: Event, crashes: int) -> None:
    """Leave the mark of processes that ended while they tried an event."""
    value = {"name": f"suspect {queue_of(session_id).name}", "value": f"{crashes} {event.id}"}
    async with engine.begin() as connection:
        await connection.execute(settings.insert(), value)


async def marks(engine: AsyncEngine) -> int:
    """Return the number of marks."""

    def count(connection: Connection) -> int:
        return connection.scalar(select(func.count()).where(settings.c.name.startswith("suspect"))) or 0

    async with engine.connect() as connection:
        return await connection.run_sync(count)


@pytest.mark.parametrize(
    ("count", "crashes", "dead"),
    [
        (SUSPECT_FROM - 1, CRASHES_MAX, []),
        (SUSPECT_FROM, CRASHES_MAX - 1, []),
        (50 * SUSPECT_FROM, 0, []),
        (SUSPECT_FROM, CRASHES_MAX, ["2"]),
    ],
)
async def test_event_during_which_the_process_ended_too_often_becomes_a_dead_letter(
    worker: Worker, engine: AsyncEngine, count: int, crashes: int, dead: list[str]
) -> None:
    """The number of deliveries is no evidence. Its author gets a rejection, and all other events are stored."""
    bus, session_id = await session_of(worker)
    commands = [send(session_id, str(n), client_message_id=str(n)) for n in range(6)]
    events = [Event("tests", command, subject=str(session_id), replyto="me") for command in commands]
    async with worker(bus) as running:
        bus.deliver(queue_of(session_id), *events[:2])
        await until(lambda: running.stored == ["0", "1"])
    await mark(engine, session_id, events[2], crashes)
    async with worker(bus) as running:
        bus.deliver(queue_of(session_id), *events, delivery_count=count)
        running.put(
            send(session_id, "next"), delivery_count=count
        )  # was queued behind it, so it was delivered as often
        await running.drained(session_id)
        letters = [read_body(letter.original())[0].data["content"] for letter in bus.events(DeadLetter)]
        assert letters == dead
        assert {letter.reason for letter in bus.events(DeadLetter)} <= {"CrashedTooOften"}
        assert {letter.attempts for letter in bus.events(DeadLetter)} <= {count}
        assert [rejected.client_message_id for rejected in bus.events(MessageRejected)] == dead
        assert {rejected.code for rejected in bus.events(MessageRejected)} <= {"internal"}
        assert running.stored == [n for n in "012345" if n not in dead] + ["next"]
        assert await marks(engine) == (count < SUSPECT_FROM)


async def test_process_that_survived_a_body_suspects_none(worker: Worker) -> None:
    """Lost connections or a database outage may have caused the number of deliveries."""
    bus, session_id = await session_of(worker)
    async with worker(bus) as running:
        running.put(send(session_id, "first"))
        await running.drained(session_id)
        running.put(send(session_id, "second"), delivery_count=10 * SUSPECT_FROM)
        await running.drained(session_id)
        assert bus.events(DeadLetter) == []
        assert running.stored == ["first", "second"]


async def test_bodies_delivered_often_are_committed_in_growing_batches(worker: Worker) -> None:
    """The first one separately, then twice as many after each success, in order."""
    bus, session_id = await session_of(worker)
    for n in range(7):
        bus.deliver(queue_of(session_id), Event("tests", send(session_id, str(n))), delivery_count=CAREFUL_FROM)
    async with worker(bus) as running:
        await running.drained(session_id)
        assert running.stored == [str(n) for n in range(7)]
        assert running.count("backchat_batch_commands_count") == 3  # 1 and 2 and 4


@pytest.mark.parametrize("fault", ["refused", "unreadable", "suspected"])
async def test_reply_that_cannot_be_stored_ends_its_turn_as_failed(
    worker: Worker, engine: AsyncEngine, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members see the failure, and the next turn answers the messages that arrived in the meantime."""
    bus, session_id = await session_of(worker)
    async with worker(bus) as running:
        running.put(send(session_id, "one"))
        [turn] = await until(lambda: bus.events(RunTurn))
        running.put(send(session_id, "two"))
        await until(lambda: len(running.stored) == 2)
        await running.drained(session_id)
    reply = finish(turn)
    strange = Event("tests", reply, subject=str(session_id))
    if fault == "refused":
        as_stored = messages.as_stored

        def refuses(content: str, *more: Any) -> Any:
            return as_stored(content, *more) if not content else 1 / 0

        monkeypatch.setattr(messages, "as_stored", refuses)
    elif fault == "unreadable":
        strange = strange.replace(data=reply.replace(content=None))
    elif fault == "suspected":
        await mark(engine, session_id, strange, CRASHES_MAX)
    async with worker(bus) as running:
        bus.deliver(queue_of(session_id), strange, delivery_count=SUSPECT_FROM if fault == "suspected" else 0)
        [failed] = await until(
            lambda: [e.message for e in bus.events(MessageStored) if e.message.sender_type == "chatbot"]
        )
        await running.drained(session_id)
        assert (failed.id, failed.status, failed.content) == (turn.message_id, "failed", "")
        assert failed.error is not None
        assert failed.error.code == "internal"
        assert failed.error.message
        assert len(bus.events(DeadLetter)) == 1
        following = bus.events(RunTurn)[-1]
        assert [m.content for m in following.context if m.unanswered] == ["two"]


async def test_dead_letter_of_a_body_that_is_too_large_has_no_content(worker: Worker) -> None:
    """A body that no publisher of ours can have sent must not block its partition."""
    bus, session_id = await session_of(worker)
    bus.event_bytes_max = topology.EVENT_BYTES_MAX
    async with worker(bus) as running:
        bus.deliver(queue_of(session_id), body=b"x" * topology.EVENT_BYTES_MAX)
        running.put(send(session_id, "after it"))
        await running.drained(session_id)
        [letter] = bus.events(DeadLetter)
        assert (letter.original(), letter.reason) == (b"", "MalformedEvent (too large to keep)")
        assert running.stored == ["after it"]


async def test_command_without_a_rule_becomes_a_dead_letter_that_names_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is answered with `internal`, and later commands are stored."""
    bus, session_id = await session_of(worker)
    monkeypatch.delitem(registry.RULES, RateReply)
    async with worker(bus) as running:
        unruled = RateReply(session_id=session_id, user_id=ADA, message_id=session_id, rating=1, comment=None)
        running.put(send(session_id, "before"), unruled, send(session_id, "after"))
        await running.drained(session_id)
        assert [letter.reason for letter in bus.events(DeadLetter)] == [f"MissingRule: no rule for {RateReply.TYPE}"]
        assert [answer.error.code for answer in running.answers] == ["internal"]
        assert running.stored == ["before", "after"]
