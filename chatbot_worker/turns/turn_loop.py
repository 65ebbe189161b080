"""The turn loop: has one chatbot's turns answered, and says which of them may be acked.

A turn is acked only when its reply is in the log (or it is known to be over), so whatever dies, it comes again.
What came before, or was published again, may be over: then `chat.queries` is asked first. A worker that
stops publishes its unfinished turns again, with a higher number, and acks them.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from uuid import UUID

from chatbot_worker.catalogue.definitions import Definition
from chatbot_worker.catalogue.entries import ChatbotEntry
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies.delta_batcher import Gusts
from chatbot_worker.replies.replier import Replier
from chatbot_worker.rules.attempts import CRASHES_MAX
from chatbot_worker.turns.answers import Answer
from chatbot_worker.turns.fairness import WAIT_MAX, Crowd, Slots, asker, look_ahead
from chatbot_worker.turns.instant import answer_at_once
from chatbot_worker.turns.intake import Intake
from chatbot_worker.turns.publishing import Publisher
from chatbot_worker.turns.running import Running
from chatbot_worker.turns.stopping import Stops
from chatbot_worker.turns.summarizer import Folding
from chatbot_worker.turns.typing_indicator import AtWork
from shared.bus.port import Bus, Delivery
from shared.contracts.commands import FinishReply
from shared.contracts.topology import turn_queue
from shared.contracts.turns import RunTurn
from shared.runtime.service import Tasks

GRACE = 3.0  # seconds that running turns get when the worker stops
HAND_BACK = 1.5  # seconds for publishing the others again
SUSPECTS_FROM = 3  # deliveries without an ack after which turns run one at a time: one of them may kill its workers


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the chatbots of one worker share. `loops`: theirs, by id; who stands in for whom is looked up there."""

    bus: Bus
    partitions: int
    publisher: Publisher
    stops: Stops
    at_work: AtWork
    gusts: Gusts
    loops: dict[str, TurnLoop] = field(default_factory=dict)


class TurnLoop:
    """The turns of one chatbot, whose definition may change meanwhile: new turns follow it, running ones do not."""

    def __init__(self, definition: Definition, *, workplace: Workplace, metrics: ChatbotMetrics) -> None:
        self._workplace = workplace
        self._publisher = workplace.publisher
        self._metrics = metrics
        self.replier = self._hire(definition)
        self.slots = Slots(definition.concurrency)
        self._folding = Folding(self.slots, self._publisher, metrics)
        self._crowd = Crowd()
        self._suspects = asyncio.Lock()
        self._blamed = False
        self._running: dict[UUID, Running] = {}
        self._intake = Intake(
            turn_queue(definition.id),
            bus=workplace.bus,
            publisher=workplace.publisher,
            settle=self._settle_all,
            dead=lambda: metrics.ended("dead"),
        )

    def start(self, tasks: Tasks) -> None:
        """Begin to take turns, or take as many more as a new definition allows."""
        definition = self.replier.definition
        room = 0 if definition.card.immediate else look_ahead(definition.concurrency)  # bodies of many turns, or one
        self._intake.consume(tasks, definition.concurrency + room)

    def adopt(self, definition: Definition) -> Replier:
        """Follow another definition from the next turn on; the one that is to be closed."""
        old, self.replier = self.replier, self._hire(definition)
        self.slots.resize(definition.concurrency)
        return old

    async def drain(self) -> None:
        """Take no more; let what runs end, and hand back what does not end in time. Under 5 s."""
        await self._let_wait_elsewhere()
        await self._intake.idle(GRACE)
        for running in self._running.values():
            running.cancel()
        await self._intake.idle(HAND_BACK)
        await self._intake.close()

    async def retire(self) -> None:
        """Take no more; let what runs end, in its own time."""
        await self._let_wait_elsewhere()
        await self._intake.idle()
        await self._intake.close()

    async def _let_wait_elsewhere(self) -> None:
        await self._intake.stop()
        await self._folding.stop()
        for running in self._running.values():
            if not running.begun:
                running.cancel()

    async def close(self) -> None:
        """Give back what is not acked."""
        await self._folding.stop()
        await self._intake.close()

    def _hire(self, definition: Definition) -> Replier:
        place = self._workplace
        return Replier(definition, gusts=place.gusts, partitions=place.partitions, metrics=self._metrics)

    async def _settle_all(self, turns: Sequence[RunTurn], delivery: Delivery) -> bool:
        """Answer the turns of one body; whether it may be acked."""
        if self.replier.definition.instant and not delivery.delivery_count:
            turns = await self._settle_at_once(turns)
        if len(turns) == 1:
            return await self._settle(turns[0], delivery)
        return all(await asyncio.gather(*(self._settle(turn, delivery) for turn in turns)))

    async def _settle_at_once(self, turns: Sequence[RunTurn]) -> list[RunTurn]:
        """Answer the turns of an instant chatbot, all in one publication; those left over go the long way."""
        plain: list[RunTurn] = []
        rest: list[RunTurn] = []
        for turn in turns:
            known = turn.again or turn.message_id in self._running or self._workplace.stops.holds(turn)
            (rest if known else plain).append(turn)
        began = time.perf_counter()
        finishes, failed = await answer_at_once(self.replier, plain)
        if finishes:
            self._metrics.duration.observe(time.perf_counter() - began)
            await self._publisher.finish(finishes)
            for status, turns_so in Counter(finish.status for finish in finishes).items():
                self._metrics.ended(status, turns_so)
        return rest + failed

    async def _settle(self, turn: RunTurn, delivery: Delivery) -> bool:
        if (running := self._running.get(turn.message_id)) is not None:  # came again while it runs: once is enough
            return await asyncio.shield(running.settled)
        self._running[turn.message_id] = running = Running(turn, delivery)
        work = asyncio.create_task(self._work(running), name="turn")
        running.works(work)
        self._make_room()
        settled = False
        try:
            with self._workplace.stops.watch(turn, running.stop):
                if self._workplace.stops.holds(turn):
                    running.stop()
                await asyncio.wait({work})
            settled = await self._conclude(running, work)
        finally:
            work.cancel()
            running.settled.set_result(settled)
            del self._running[turn.message_id]
        return settled

    async def _work(self, running: Running) -> FinishReply | None:
        """The turn's end; `None` if it was over already."""
        turn, answer = running.turn, running.answer
        async with AsyncExitStack() as shown:
            if running.fresh:
                shown.enter_context(self._shown(turn))
            async with self._slot(running):
                running.begun = True
                replier = self.replier
                if not running.fresh:
                    if not await self._publisher.is_open(turn):
                        return None
                    shown.enter_context(self._shown(turn))
                if self._is_to_blame(running.delivery):
                    return answer.given_up()
                finish = await answer.run(replier)
            if answer.helpless:
                return await self._stand_in(answer, turn, replier.definition.entry) or finish
            return finish

    async def _stand_in(self, answer: Answer, turn: RunTurn, absent: ChatbotEntry) -> FinishReply | None:
        other = self._workplace.loops.get(absent.fallback or "")
        if other is None:
            return None
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(WAIT_MAX):
                    await held.enter_async_context(other.slots.hold(asker(turn)))
            except TimeoutError:
                return None
            with self._metrics.running.track_inprogress():
                finish = await answer.stand_in(other.replier, absent.name)
        if finish is not None:
            self._metrics.stand_ins.inc()
        return finish

    @asynccontextmanager
    async def _slot(self, running: Running) -> AsyncIterator[None]:
        """Wait until it is this turn's turn, and suspects for each other as well."""
        who = asker(running.turn)
        async with AsyncExitStack() as held:
            with self._metrics.waiting.track_inprogress():
                async with asyncio.timeout(WAIT_MAX):
                    if running.delivery.delivery_count >= SUSPECTS_FROM:
                        await held.enter_async_context(self._suspects)
                    await held.enter_async_context(self.slots.hold(who))
            with self._metrics.running.track_inprogress():
                yield

    def _make_room(self) -> None:
        """Let some turns of whoever fills the room alone wait in the queue, behind those of others."""
        definition = self.replier.definition
        room = look_ahead(definition.concurrency)
        if definition.card.immediate or len(self._running) < room:
            return
        waiting = [running for running in self._running.values() if not running.begun]
        who, too_many = self._crowd.too_many([asker(running.turn) for running in waiting], room)
        newest_first = (running for running in reversed(waiting) if asker(running.turn) == who)
        for running in itertools.islice(newest_first, too_many):
            running.send_back()

    def _shown(self, turn: RunTurn) -> AbstractContextManager[None]:
        return nullcontext() if self.replier.definition.instant else self._workplace.at_work.shown(turn)

    def _is_to_blame(self, delivery: Delivery) -> bool:
        """Whether this turn is the one that takes its workers down with it.

        A crash counts against all that was taken; suspects run one at a time and in order, so that only the
        first of them after a start can have caused it.
        """
        if delivery.delivery_count < SUSPECTS_FROM or self._blamed:
            return False
        self._blamed = True
        return delivery.delivery_count >= CRASHES_MAX

    async def _conclude(self, running: Running, work: asyncio.Task[FinishReply | None]) -> bool:
        if running.stopped and work.cancelled():
            finish: FinishReply | None = running.answer.stopped()
        elif work.cancelled() or running.waited_in_vain:
            # A worker that stops tries once: what it cannot hand back its queue gives back when it has gone.
            at_once = work.cancelled() and not running.sent_back
            handed_back = await self._publisher.hand_back(running.turn, running.delivery, at_once=at_once)
            if handed_back:
                self._metrics.ended("handed_back")
            return handed_back
        else:
            finish = work.result()
        if finish is None:
            self._metrics.ended("closed")
            return True
        await self._publisher.finish([finish])
        self._metrics.ended(finish.status)
        if finish.status == "complete":
            self._folding.begin(self.replier, running.turn)
        return True
