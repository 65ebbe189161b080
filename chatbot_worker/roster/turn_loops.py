"""The chatbots at work in this process, and how they follow the catalogue when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from chatbot_worker.catalogue.definitions import Catalogue, Definition
from chatbot_worker.metrics import Metrics
from chatbot_worker.replies.replier import Replier
from chatbot_worker.roster.announcing import Announcer
from chatbot_worker.turns.turn_loop import TurnLoop, Workplace
from shared.contracts.topology import dead_queue, turn_queue
from shared.runtime.service import Tasks

logger = structlog.get_logger(__name__)

PATIENCE = 0.5  # seconds that what is still at work gets before its chatbot is closed, when the worker ends


class Roster:
    """A turn loop for each chatbot of the catalogue."""

    def __init__(self, catalogue: Catalogue, *, workplace: Workplace, metrics: Metrics) -> None:
        self.announcer = Announcer(workplace.bus, catalogue.announcement())
        self._catalogue = catalogue
        self._workplace = workplace
        self._metrics = metrics
        self._loops = workplace.loops
        self._leaving: set[TurnLoop] = set()
        self._repliers: set[Replier] = set()  # of chatbots not closed yet

    async def start(self, tasks: Tasks) -> None:
        """Begin to take turns."""
        await self._declare(self._catalogue.definitions)
        for definition in self._catalogue.definitions:
            self._add(definition, tasks)

    async def apply(self, catalogue: Catalogue, tasks: Tasks) -> None:
        """Follow a new catalogue: new turns are answered as it says, running ones end as they began."""
        definitions = {definition.id: definition for definition in catalogue.definitions}
        gone = self._loops.keys() - definitions.keys()
        new = definitions.keys() - self._loops.keys()
        changed = [
            definition
            for name, definition in definitions.items()
            if name in self._loops and self._loops[name].replier.definition.entry != definition.entry
        ]
        self._catalogue = catalogue.after(self._catalogue)
        await self._declare([definitions[name] for name in new])
        for name in gone:
            tasks.start(f"retiring {name}", self._retire(self._loops.pop(name)))
        for definition in changed:
            loop = self._loops[definition.id]
            tasks.start(f"closing {definition.id}", self._dismiss(loop.adopt(definition)))
            self._begin(loop, tasks)
        for name in new:
            self._add(definitions[name], tasks)
        self.announcer.change(self._catalogue.announcement())
        logger.info("catalogue read again", new=len(new), changed=len(changed), gone=len(gone))

    async def drain(self) -> None:
        """Hand over all work. Under 5 s."""
        await asyncio.gather(*(loop.drain() for loop in self._all()))

    async def close(self) -> None:
        """Give back what is not acked."""
        await asyncio.gather(*(loop.close() for loop in self._all()), return_exceptions=True)

    async def dismiss(self) -> None:
        """Let all chatbots free what they hold; nobody is at work any more."""
        await asyncio.gather(*(replier.close(PATIENCE) for replier in self._repliers), return_exceptions=True)

    def _all(self) -> Iterable[TurnLoop]:
        return [*self._loops.values(), *self._leaving]

    async def _declare(self, definitions: Iterable[Definition]) -> None:
        await self._workplace.bus.declare(queues=[dead_queue(turn_queue(each.id)) for each in definitions])

    def _add(self, definition: Definition, tasks: Tasks) -> None:
        loop = TurnLoop(definition, workplace=self._workplace, metrics=self._metrics.of(definition.id))
        self._loops[definition.id] = loop
        self._begin(loop, tasks)

    def _begin(self, loop: TurnLoop, tasks: Tasks) -> None:
        self._repliers.add(loop.replier)
        tasks.start(f"opening {loop.replier.definition.id}", loop.replier.open())
        loop.start(tasks)

    async def _retire(self, loop: TurnLoop) -> None:
        self._leaving.add(loop)
        await loop.retire()
        self._leaving.discard(loop)
        await self._dismiss(loop.replier)
        if loop.replier.definition.id not in self._loops:
            self._metrics.forget(loop.replier.definition.id)

    async def _dismiss(self, replier: Replier) -> None:
        await replier.close()
        self._repliers.discard(replier)
