"""Composition root of the chatbot worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from chatbot_worker.catalogue import loading
from chatbot_worker.metrics import Metrics
from chatbot_worker.replies.delta_batcher import DeltaBatcher
from chatbot_worker.roster.reloading import Reloader
from chatbot_worker.roster.turn_loops import Roster
from chatbot_worker.settings import ChatbotSettings
from chatbot_worker.turns.publishing import Publisher
from chatbot_worker.turns.stopping import Stops, consume, subscribe
from chatbot_worker.turns.typing_indicator import TypingIndicator
from chatbot_worker.turns.worker_context import WorkerContext
from shared.bus.port import Bus, missing_of
from shared.contracts.topology import CATALOGUE, DEAD, DELIVERY, QUERIES, TURNS, log
from shared.runtime.service import Service, Tasks
from shared.runtime.settings import config_error


def build(settings: ChatbotSettings, *, bus: Bus, registry: CollectorRegistry) -> Service:
    """Build the service of all chatbots in the catalogue.

    Raises:
        SystemExit: the catalogue is invalid (code 2, one line that names `BACKCHAT_CHATBOTS` and the place).
    """
    reloader = Reloader(settings.chatbots)
    try:
        found = loading.load(settings.chatbots, local_model=settings.local_model == "on")
    except loading.CatalogueError as error:
        raise config_error("CHATBOTS", str(error)) from None
    worker = WorkerContext(
        bus=bus,
        partitions=settings.partitions,
        publisher=Publisher(bus, settings.partitions),
        stops=Stops(),
        typing=TypingIndicator(bus, settings.partitions),
        batcher=DeltaBatcher(bus),
    )
    roster = Roster(found, worker=worker, metrics=Metrics(registry))

    async def work(tasks: Tasks) -> None:
        await bus.declare((CATALOGUE, TURNS, DELIVERY, QUERIES, DEAD, log(settings.partitions)))
        tasks.start("announcing", roster.announcer.run())
        tasks.start("stops", consume(await subscribe(bus), worker.stops))  # before the first turn is taken
        tasks.start("typing", worker.typing.renew())
        await roster.start(tasks)
        tasks.start("reloading", reloader.run(partial(roster.apply, tasks=tasks)))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        try:
            async with Tasks() as tasks:
                try:
                    tasks.start("declaring", work(tasks))
                    yield tasks
                finally:
                    await roster.close()
        finally:
            await roster.close_chatbots()

    def missing() -> Sequence[str]:
        return missing_of(bus)

    return Service("chatbot_worker", lifespan, missing, drain=roster.drain, reload=reloader.request)
