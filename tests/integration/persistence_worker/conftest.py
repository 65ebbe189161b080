"""Runs a whole worker on the fake bus, with each database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.settings import PersistenceSettings
from shared.contracts import ids, topology
from shared.contracts.envelope import Event
from shared.contracts.events import ChatbotsAnnounced, MessageStored
from shared.contracts.payload import rfc3339
from shared.contracts.queries import Reply
from shared.runtime.service import Service
from tests.contract.store.conftest import empty_engine, engine
from tests.support.commands import CARDS, NOON, start
from tests.support.fake_bus import FakeBus
from tests.support.waiting import until

__all__ = ["empty_engine", "engine"]

PARTITIONS = 2


def queue_of(session_id: UUID) -> topology.Queue:
    """Return the queue of a session's partition."""
    return topology.log_queue(ids.partition(session_id, PARTITIONS), PARTITIONS)


@dataclass
class RunningWorker:
    """A worker that runs, and its bus."""

    service: Service
    bus: FakeBus
    registry: CollectorRegistry
    dialect: str
    seen_answers: int = field(default=0)  # answers that `opened` has taken

    def put(self, *commands: Any, **more: Any) -> None:
        """Put commands, as one body, into the partition of their session."""
        events = [Event("tests", c, subject=str(c.session_id), replyto="me") for c in commands]
        self.bus.deliver(queue_of(commands[0].session_id), *events, **more)

    @property
    def answers(self) -> list[Any]:
        """The answers since the last `opened`."""
        return [event.data for _, event in self.bus.answers[self.seen_answers :]]

    @property
    def stored(self) -> list[str]:
        """The contents of all stored messages."""
        return [event.message.content for event in self.bus.events(MessageStored)]

    async def opened(self, **more: Any) -> UUID:
        """Start a session; return its id."""
        command = start(**more)
        self.put(command)
        [answer] = await until(lambda: self.answers)
        assert isinstance(answer, Reply)
        assert answer.error is None
        self.seen_answers = len(self.bus.answers)
        return command.session_id

    async def drained(self, session_id: UUID) -> None:
        """Wait until every delivery of the session's partition is acknowledged."""
        await until(lambda: not self.bus.holds(queue_of(session_id)))

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


Worker = Callable[..., AbstractAsyncContextManager[RunningWorker]]


@pytest.fixture
async def worker(engine: AsyncEngine) -> AsyncIterator[Worker]:
    """Start workers; several of them may use one bus, one after another."""
    async with AsyncExitStack() as buses:

        @asynccontextmanager
        async def run(bus: FakeBus | None = None, **settings: Any) -> AsyncIterator[RunningWorker]:
            bus = bus or await buses.enter_async_context(FakeBus())
            registry = CollectorRegistry()
            loaded = PersistenceSettings(partitions=PARTITIONS, **settings)
            service = app.build(loaded, bus=bus, engine=engine, registry=registry)
            async with service.lifespan() as tasks:
                announced = ChatbotsAnnounced(chatbots=CARDS, modified_at=rfc3339(NOON))
                bus.deliver(topology.catalogue_queue(), Event("tests", announced))
                await until(lambda: bus.exists(topology.turn_queue("echo")))
                yield RunningWorker(service, bus, registry, engine.dialect.name, len(bus.answers))
                assert not tasks.failed.done(), tasks.failed.result()

        yield run
