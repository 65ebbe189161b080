"""Overdue turns: a turn whose publication failed is republished sooner than one that the bus has confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.dead_letters import DeadLetterPublisher
from persistence_worker.consumers.catalogue_updates import CatalogueUpdates
from persistence_worker.jobs import overdue_turns
from persistence_worker.jobs.overdue_turns import OverdueTurns
from persistence_worker.metrics import Metrics
from persistence_worker.storage.tables import turns
from shared.contracts import topology
from shared.contracts.payload import utc_now
from shared.contracts.turns import RunTurn
from shared.errors import Unavailable
from tests.contract.store.harness import PARTITIONS, StoreHarness
from tests.support.commands import send
from tests.support.fake_bus import FakeBus, Publication


class LossyBus(FakeBus):
    """Does not confirm the publications of some turns."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[UUID] = set()

    async def publish_all(self, publications: Sequence[Publication]) -> None:
        if any(isinstance(e.data, RunTurn) and e.data.message_id in self.lost for _, _, e in publications):
            raise Unavailable
        await super().publish_all(publications)


@pytest.fixture
async def bus() -> AsyncIterator[LossyBus]:
    async with LossyBus() as bus:
        yield bus


def job(store: StoreHarness, bus: LossyBus) -> OverdueTurns:
    metrics = Metrics(CollectorRegistry())
    dead_letters = DeadLetterPublisher(bus, metrics, PARTITIONS)
    return OverdueTurns(
        bus=bus,
        database=store.database,
        store=store.sessions,
        reader=store.reader,
        contexts=store.contexts,
        catalogue=CatalogueUpdates(
            bus=bus, database=store.database, catalogue=store.catalogue, dead_letters=dead_letters
        ),
        metrics=metrics,
        partitions=PARTITIONS,
        patience=600,
    )


async def test_turn_whose_republication_failed_is_soon_overdue_again(engine: AsyncEngine, bus: LossyBus) -> None:
    """A confirmed turn is overdue after the patience of 10 minutes, a failed one after a claim of half a minute."""
    store = StoreHarness(engine)
    await store.announce()
    published = []
    for n in range(3):
        await store.apply(send(await store.session(), str(n)))
        published += [turn.message_id for turn in store.turns][:1]
    bus.lost = {published[0]}
    overdue = job(store, bus)
    for card in store.catalogue.cards:
        await bus.declare(queues=[topology.turn_queue(card.id)])
    old = utc_now() - timedelta(seconds=601)
    await store.database.write(lambda c: c.execute(update(turns).values(published_at=old)))
    with pytest.raises(Unavailable):
        await overdue.publish()
    assert {turn.message_id for turn in bus.events(RunTurn)} == set(published[1:])
    rows = await store.database.read(lambda c: {r.id: r for r in c.execute(select(turns))})
    waits = {turn: (rows[turn].published_at - utc_now()).total_seconds() + 600 for turn in rows}
    assert waits[published[0]] <= overdue_turns.CLAIM
    assert min(waits[turn] for turn in published[1:]) > 500
    claimed = utc_now() - timedelta(seconds=601)
    await store.database.write(
        lambda c: c.execute(update(turns).where(turns.c.id == published[0]).values(published_at=claimed))
    )
    bus.lost = set()
    assert await overdue.publish() == 1
    again = bus.events(RunTurn)[-1]
    assert (again.message_id, again.starts, again.again) == (published[0], 2, True)
