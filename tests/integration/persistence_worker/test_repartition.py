"""Another number of partitions: only once nothing is left in the old ones."""

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
from tests.contract.store.desk import start

OLD, NEW = 2, 3


async def kept(engine: AsyncEngine, partitions: int) -> None:
    """A database that was made with so many."""
    await app.migrate(engine)
    assert await Database(engine, partitions)._agree()


async def test_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused while a command waits in an old queue; done when it is gone; done once."""
    monkeypatch.setattr(repartitioning, "QUIET", 0.2)
    engine = open_engine(sqlite_url(tmp_path / "chat.db"), schema=SCHEMA)
    await kept(engine, OLD)
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
