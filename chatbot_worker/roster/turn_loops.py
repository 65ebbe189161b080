"""The chatbots that are active in this process, and how they follow a changed catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from chatbot_worker.catalogue.definitions import Catalogue, Definition
from chatbot_worker.metrics import Metrics
from chatbot_worker.replies.replier import Replier
from chatbot_worker.roster.announcing import Announcer
from chatbot_worker.turns.turn_loop import TurnLoop
from chatbot_worker.turns.worker_context import WorkerContext
from shared.contracts.topology import dead_queue, turn_queue
from shared.runtime.service import Tasks

logger = structlog.get_logger(__name__)

CLOSE_PATIENCE = 0.5  # seconds for replies under way to end before their chatbot is closed, when the worker ends


class Roster:
    """A turn loop for each chatbot of the catalogue."""

    def __init__(self, catalogue: Catalogue, *, worker: WorkerContext, metrics: Metrics) -> None:
        self.announcer = Announcer(worker.bus, catalogue.announcement())
        self._catalogue = catalogue
        self._worker = worker
        self._metrics = metrics
        self._loops: dict[str, TurnLoop] = {}  # by chatbot id
        self._retiring: set[TurnLoop] = set()
        self._repliers: set[Replier] = set()  # of chatbots that are not closed yet

    async def start(self, tasks: Tasks) -> None:
        """Start the turn loops."""
        await self._declare(self._catalogue.definitions)
        for definition in self._catalogue.definitions:
            self._add(definition, tasks)

    async def apply(self, catalogue: Catalogue, tasks: Tasks) -> None:
        """Follow a new catalogue: new turns are answered by its definitions, running turns end by their own."""
        definitions = {definition.id: definition for definition in catalogue.definitions}
        gone = self._loops.keys() - definitions.keys()
        new = definitions.keys() - self._loops.keys()
        changed = [
            definition
            for name, definition in definitions.items()
            if name in self._loops and self._loops[name].definition.entry != definition.entry
        ]
        self._catalogue = catalogue.after(self._catalogue)
        await self._declare([definitions[name] for name in new])
        for name in gone:
            del self._worker.chatbots[name]
            tasks.start(f"retiring {name}", self._retire(self._loops.pop(name)))
        for definition in changed:
            loop = self._loops[definition.id]
            tasks.start(f"closing {definition.id}", self._close_replier(loop.adopt(definition)))
            self._start(loop, tasks)
        for name in new:
            self._add(definitions[name], tasks)
        self.announcer.change(self._catalogue.announcement())
        logger.info("catalogue.reloaded", new=len(new), changed=len(changed), gone=len(gone))

    async def drain(self) -> None:
        """Finish or requeue all turns. Takes under 5 s."""
        await asyncio.gather(*(loop.drain() for loop in self._all()))

    async def close(self) -> None:
        """Stop all turn loops, and give unacknowledged turns back to the broker."""
        await asyncio.gather(*(loop.close() for loop in self._all()), return_exceptions=True)

    async def close_chatbots(self) -> None:
        """Close all chatbots; no turn runs any more."""
        await asyncio.gather(*(replier.close(CLOSE_PATIENCE) for replier in self._repliers), return_exceptions=True)

    def _all(self) -> Iterable[TurnLoop]:
        return [*self._loops.values(), *self._retiring]

    async def _declare(self, definitions: Iterable[Definition]) -> None:
        await self._worker.bus.declare(queues=[dead_queue(turn_queue(each.id)) for each in definitions])

    def _add(self, definition: Definition, tasks: Tasks) -> None:
        loop = TurnLoop(definition, worker=self._worker, metrics=self._metrics.of(definition.id))
        self._loops[definition.id] = loop
        self._worker.chatbots[definition.id] = loop.chatbot
        self._start(loop, tasks)

    def _start(self, loop: TurnLoop, tasks: Tasks) -> None:
        replier = loop.chatbot.replier
        self._repliers.add(replier)
        tasks.start(f"opening {replier.definition.id}", replier.open())
        loop.start(tasks)

    async def _retire(self, loop: TurnLoop) -> None:
        self._retiring.add(loop)
        await loop.retire()
        self._retiring.discard(loop)
        await self._close_replier(loop.chatbot.replier)
        if loop.definition.id not in self._loops:
            self._metrics.forget(loop.definition.id)

    async def _close_replier(self, replier: Replier) -> None:
        await replier.close()
        self._repliers.discard(replier)
