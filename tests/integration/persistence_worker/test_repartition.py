"""The command `repartition`: it changes the number of partitions only when the old queues are empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.operations import repartitioning
from persistence_worker.storage.database import Database, refuse_other_partitions
from persistence_worker.storage.tables import SCHEMA
from shared.bus.in_process import InProcessBus
from shared.contracts import topology
from shared.contracts.envelope import Event
from shared.database.engine import open_engine, sqlite_url
from tests.support.commands import start

OLD, NEW = 2, 3


async def create(engine: AsyncEngine, partitions: int) -> None:
    """Create the database with a number of partitions."""
    await app.migrate(engine)
    assert await Database(engine, partitions)._check_partitions()


async def test_repartition_is_refused_while_an_old_queue_has_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the queue is empty, the number changes; a second call has nothing to do."""
    monkeypatch.setattr(repartitioning, "QUIET", 0.2)
    engine = open_engine(sqlite_url(tmp_path / "chat.db"), schema=SCHEMA)
    await create(engine, OLD)
    async with InProcessBus(tmp_path / "bus.db") as bus:
        queues = [topology.log_queue(number, OLD) for number in range(OLD)]
        await bus.declare((topology.log(OLD),), queues)
        await bus.publish(topology.log(OLD), "1", Event("tests", start()))
        assert await repartitioning.repartition(bus, engine, NEW) == 1
        assert queues[1].name in capsys.readouterr().err
        await refuse_other_partitions(engine, OLD)
        subscription = await bus.subscribe(queues[1], prefetch=10)
        await subscription.ack((await subscription.take()).deliveries)
        await subscription.close()
        assert await repartitioning.repartition(bus, engine, NEW) == 0
        assert f"{OLD} -> {NEW}" in capsys.readouterr().out
        assert await repartitioning.repartition(bus, engine, NEW) == 0
        assert "nothing to do" in capsys.readouterr().out
    await refuse_other_partitions(engine, NEW)
    with pytest.raises(SystemExit):
        await refuse_other_partitions(engine, OLD)
    await engine.dispose()
