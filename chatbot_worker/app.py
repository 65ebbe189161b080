"""Composition root of the chatbot worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from chatbot_worker import catalogue
from chatbot_worker.announcing import announce_for_ever
from chatbot_worker.at_work import AtWork
from chatbot_worker.metrics import Metrics
from chatbot_worker.publishing import Publisher
from chatbot_worker.settings import ChatbotSettings
from chatbot_worker.stopping import Stops, listen
from chatbot_worker.turns import TurnLoop, Workplace
from shared.bus.port import Bus
from shared.contracts.topology import CATALOGUE, DEAD, DELIVERY, QUERIES, TURNS, dead_queue, log, turn_queue
from shared.runtime.service import Service, Tasks
from shared.runtime.settings import refuse


def build(settings: ChatbotSettings, *, bus: Bus, registry: CollectorRegistry) -> Service:
    """The service of all chatbots in the catalogue.

    Raises:
        SystemExit: the catalogue is wrong (code 2, one line that names `BACKCHAT_CHATBOTS` and the place).
    """
    try:
        found = catalogue.load(settings.chatbots, local_model=settings.local_model == "on")
    except catalogue.CatalogueError as error:
        raise refuse("CHATBOTS", str(error)) from None
    metrics = Metrics(registry)
    workplace = Workplace(
        bus=bus,
        partitions=settings.partitions,
        publisher=Publisher(bus, settings.partitions),
        stops=Stops(),
        at_work=AtWork(bus, settings.partitions),
    )
    loops = [
        TurnLoop(definition, workplace=workplace, metrics=metrics.of(definition.id)) for definition in found.definitions
    ]

    async def work(tasks: Tasks) -> None:
        await bus.declare(
            (CATALOGUE, TURNS, DELIVERY, QUERIES, DEAD, log(settings.partitions)),
            [dead_queue(turn_queue(definition.id)) for definition in found.definitions],
        )
        tasks.start("announcing", announce_for_ever(bus, found))
        tasks.start("stops", listen(bus, workplace.stops))
        tasks.start("typing", workplace.at_work.renew())
        for loop in loops:
            loop.start(tasks)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            try:
                tasks.start("declaring", work(tasks))
                yield tasks
            finally:
                await asyncio.gather(*(loop.close() for loop in loops), return_exceptions=True)

    async def drain() -> None:
        await asyncio.gather(*(loop.drain() for loop in loops))

    def missing() -> Sequence[str]:
        return [] if bus.connected else ["broker"]

    return Service("chatbot_worker", lifespan, missing, drain=drain)
