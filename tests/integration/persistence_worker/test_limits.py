"""What cannot be applied ends: suspects after a hundred deliveries, the turns of poisoned replies, overdue turns."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.commands.partition_consumer import CAREFUL_FROM, SUSPECT_FROM, TRIES_A_SUSPECT
from persistence_worker.consumers.catalogue_announcements import Announcements
from persistence_worker.domain import reply_policy
from persistence_worker.jobs import overdue_turns
from persistence_worker.jobs.overdue_turns import Overdue
from persistence_worker.metrics import Metrics
from persistence_worker.storage.tables import turns
from shared.contracts import ids, topology
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import MessageRejected, MessageStored
from shared.contracts.payload import utc_now
from shared.contracts.turns import RunTurn
from shared.errors import Unavailable
from tests.contract.store.desk import Desk, finish, send
from tests.integration.persistence_worker.conftest import PARTITIONS, Running, Worker
from tests.integration.persistence_worker.fake_bus import FakeBus
from tests.integration.persistence_worker.test_worker import opened


def queue_of(session_id: UUID) -> topology.Queue:
    return topology.log_queue(ids.partition(session_id, PARTITIONS), PARTITIONS)


async def quiet(running: Running, session_id: UUID) -> None:
    """Wait until the session's partition is empty and everything of it is acked."""
    await running.until(lambda: not running.bus.held(queue_of(session_id)))


def stored(running: Running) -> list[str]:
    return [event.message.content for event in running.bus.events(MessageStored)]


async def session_of(worker: Worker) -> tuple[FakeBus, UUID]:
    """A session made by a worker that has ended since: the next one meets its partition for the first time."""
    async with worker() as running:
        return running.bus, await opened(running)


@pytest.mark.parametrize(
    ("count", "buried"),
    [(SUSPECT_FROM - 1, []), (SUSPECT_FROM, ["2"]), (SUSPECT_FROM + TRIES_A_SUSPECT, ["2", "3"])],
)
async def test_the_first_event_not_yet_applied_is_put_aside(worker: Worker, count: int, buried: list[str]) -> None:
    """What had ended its processes is kept and told to its author; what was applied and what follows is not touched."""
    bus, session_id = await session_of(worker)
    messages = [send(session_id, str(n), client_message_id=str(n)) for n in range(6)]
    async with worker(bus) as running:
        running.put(*messages[:2])
        await running.until(lambda: stored(running) == ["0", "1"])
    async with worker(bus) as running:
        running.put(*messages, delivery_count=count)
        running.put(send(session_id, "next"), delivery_count=count)  # waited behind it: as often delivered, innocent
        await quiet(running, session_id)
        letters = [read_body(letter.original())[0].data["content"] for letter in bus.events(DeadLetter)]
        assert letters == buried
        assert {letter.reason for letter in bus.events(DeadLetter)} <= {"DeliveredTooOften"}
        assert {letter.attempts for letter in bus.events(DeadLetter)} <= {count}
        assert [rejected.client_message_id for rejected in bus.events(MessageRejected)] == buried
        assert {rejected.code for rejected in bus.events(MessageRejected)} <= {"internal"}
        assert stored(running) == [n for n in "012345" if n not in buried] + ["next"]


async def test_whoever_lived_through_it_suspects_nobody(worker: Worker) -> None:
    """A count that lost connections or an absent database made is no reason to refuse a message."""
    bus, session_id = await session_of(worker)
    async with worker(bus) as running:
        running.put(send(session_id, "first"))
        await quiet(running, session_id)
        running.put(send(session_id, "second"), delivery_count=10 * SUSPECT_FROM)
        await quiet(running, session_id)
        assert bus.events(DeadLetter) == []
        assert stored(running) == ["first", "second"]


async def test_a_body_delivered_often_is_acked_by_itself(worker: Worker) -> None:
    """While that goes well ever more of its neighbours go together, and all of it stays in order."""
    bus, session_id = await session_of(worker)
    for n in range(7):
        bus.put(queue_of(session_id), Event("tests", send(session_id, str(n))), delivery_count=CAREFUL_FROM)
    async with worker(bus) as running:
        await quiet(running, session_id)
        assert stored(running) == [str(n) for n in range(7)]
        assert running.count("backchat_batch_commands_count") == 3  # 1 and 2 and 4


@pytest.mark.parametrize("fault", ["refused", "unreadable", "suspected"])
async def test_a_reply_that_cannot_be_stored_ends_its_turn_as_failed(
    worker: Worker, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is told instead of waiting for ever, and what waited is answered by the next turn."""
    bus, session_id = await session_of(worker)
    async with worker(bus) as running:
        running.put(send(session_id, "one"))
        [turn] = await running.until(lambda: bus.events(RunTurn))
        running.put(send(session_id, "two"))
        await running.until(lambda: len(stored(running)) == 2)
        await quiet(running, session_id)
    reply = finish(turn)
    strange = Event("tests", reply, subject=str(session_id))
    if fault == "refused":
        as_stored = reply_policy.as_stored

        def refuses(content: str, *more: Any) -> Any:
            return as_stored(content, *more) if not content else 1 / 0

        monkeypatch.setattr(reply_policy, "as_stored", refuses)
    elif fault == "unreadable":
        object.__setattr__(strange, "data", reply.model_copy(update={"content": None}))
    async with worker(bus) as running:
        bus.put(queue_of(session_id), strange, delivery_count=SUSPECT_FROM if fault == "suspected" else 0)
        [failed] = await running.until(
            lambda: [e.message for e in bus.events(MessageStored) if e.message.sender_type == "chatbot"]
        )
        await quiet(running, session_id)
        assert (failed.id, failed.status, failed.content) == (turn.message_id, "failed", "")
        assert failed.error is not None
        assert failed.error.code == "internal"
        assert failed.error.message
        assert len(bus.events(DeadLetter)) == 1
        following = bus.events(RunTurn)[-1]
        assert [m.content for m in following.context if m.unanswered] == ["two"]


async def test_what_is_too_large_to_keep_is_still_put_aside(worker: Worker) -> None:
    """A body that nobody of ours can have sent must not stop its partition for ever."""
    bus, session_id = await session_of(worker)
    bus.event_bytes_max = topology.EVENT_BYTES_MAX
    async with worker(bus) as running:
        bus.put(queue_of(session_id), body=b"x" * topology.EVENT_BYTES_MAX)
        running.put(send(session_id, "after it"))
        await quiet(running, session_id)
        [letter] = bus.events(DeadLetter)
        assert (letter.original(), letter.reason) == (b"", "MalformedEvent (too large to keep)")
        assert stored(running) == ["after it"]


class Away(FakeBus):
    """A bus that loses the publications of some turns."""

    def __init__(self, lost: list[UUID]) -> None:
        super().__init__()
        self.lost = lost

    async def publish_all(self, publications: object) -> None:
        for _, _, event in publications:  # type: ignore[attr-defined]
            if event.data.message_id in self.lost:
                raise Unavailable
        await super().publish_all(publications)  # type: ignore[arg-type]


async def test_an_overdue_turn_whose_publication_failed_is_soon_overdue_again(
    engine: AsyncEngine,
) -> None:
    """What the bus holds waits its ten minutes; what failed, or was on its way in a crash, hardly half a minute."""
    desk = Desk(engine)
    await desk.announce()
    lost = []
    for n in range(3):
        await desk.apply(send(await desk.session(), str(n)))
        lost += [turn.message_id for turn in desk.turns][:1]
    bus = Away(lost[:1])
    metrics = Metrics(CollectorRegistry())
    dead_letters = DeadLetterPublisher(bus, metrics, 4)  # type: ignore[arg-type]
    job = Overdue(
        bus=bus,  # type: ignore[arg-type]
        database=desk.database,
        ledger=desk.ledger,
        announcements=Announcements(
            bus=bus, database=desk.database, catalogue=desk.catalogue, dead_letters=dead_letters
        ),  # type: ignore[arg-type]
        metrics=metrics,
        partitions=4,
        patience=600,
    )
    for card in desk.catalogue.cards:
        await bus.declare(queues=[topology.turn_queue(card.id)])
    old = utc_now() - timedelta(seconds=601)
    await desk.database.write(lambda c: c.execute(update(turns).values(published_at=old)))
    with pytest.raises(Unavailable):
        await job.publish()
    assert {turn.message_id for turn in bus.events(RunTurn)} == set(lost[1:])
    rows = await desk.database.read(lambda c: {r.id: r for r in c.execute(select(turns))})
    waits = {turn: (rows[turn].published_at - utc_now()).total_seconds() + 600 for turn in rows}
    assert waits[lost[0]] <= overdue_turns.CLAIM
    assert min(waits[turn] for turn in lost[1:]) > 500
    claimed = utc_now() - timedelta(seconds=601)
    await desk.database.write(
        lambda c: c.execute(update(turns).where(turns.c.id == lost[0]).values(published_at=claimed))
    )
    bus.lost = []
    assert await job.publish() == 1
    again = bus.events(RunTurn)[-1]
    assert (again.message_id, again.starts, again.again) == (lost[0], 2, True)
