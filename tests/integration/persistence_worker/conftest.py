"""A whole worker over the fake bus, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.settings import PersistenceSettings
from shared.contracts import ids, topology
from shared.contracts.envelope import Event
from shared.contracts.events import ChatbotsAnnounced
from shared.runtime.service import Service
from tests.contract.store.conftest import empty_engine, engine
from tests.contract.store.desk import CARDS, NOON
from tests.integration.persistence_worker.fake_bus import FakeBus

__all__ = ["empty_engine", "engine"]

PARTITIONS = 2


@dataclass
class Running:
    """A worker that runs, and the bus that it runs on."""

    service: Service
    bus: FakeBus
    registry: CollectorRegistry

    def put(self, *commands: Any, **more: Any) -> None:
        """One body in the partition of these commands' session."""
        number = ids.partition(commands[0].session_id, PARTITIONS)
        events = [Event("tests", c, subject=str(c.session_id), replyto="me") for c in commands]
        self.bus.put(topology.log_queue(number, PARTITIONS), *events, **more)

    async def until(self, condition: Callable[[], Any]) -> Any:
        return await self.bus.until(condition)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


Worker = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def worker(engine: AsyncEngine) -> Worker:
    """Starts workers; two of them may share a bus."""

    @asynccontextmanager
    async def start(bus: FakeBus | None = None, **knobs: Any) -> AsyncIterator[Running]:
        bus = bus or FakeBus()
        bus.dialect = engine.dialect.name
        registry = CollectorRegistry()
        settings = PersistenceSettings(partitions=PARTITIONS, **knobs)
        service = app.build(settings, bus=bus, engine=engine, registry=registry)  # type: ignore[arg-type]
        async with service.lifespan() as tasks:
            bus.put(topology.catalogue_queue(), Event("tests", ChatbotsAnnounced(chatbots=CARDS, modified_at=NOON)))
            await bus.until(lambda: (topology.TURNS.name, "echo") in bus.bindings)
            yield Running(service, bus, registry)
            assert not tasks.failed.done(), tasks.failed.result()

    return start
