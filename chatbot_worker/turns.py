"""The turn loop: takes one chatbot's turns off its queue, has them answered, and acks when that is held.

A turn is acked only when its reply is in the log (or it is known to be over), so whatever dies, it comes again.
What came before, or was published again, may be over: then `chat.queries` is asked first. A worker that
stops publishes its unfinished turns again, with a higher number, and acks them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chatbot_worker.at_work import AtWork
from chatbot_worker.catalogue import Definition
from chatbot_worker.limits import CRASHES_MAX
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.publishing import Publisher
from chatbot_worker.replies import Answer, ChatbotFailed, Replier, unreadable
from chatbot_worker.stopping import Stops
from chatbot_worker.writing import STRETCH
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import MalformedEvent, join, read_body
from shared.contracts.topology import turn_queue
from shared.contracts.turns import RunTurn
from shared.errors import Unavailable
from shared.runtime.service import Tasks

GRACE = 3.0  # seconds that running turns get when the worker stops
HAND_BACK = 1.5  # seconds for publishing the others again


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the chatbots of one worker share."""

    bus: Bus
    partitions: int
    publisher: Publisher
    stops: Stops
    at_work: AtWork


class _Running:
    """A turn at work here. `settled`: whether its reply is held, or it is known to be over."""

    def __init__(self, answer: Answer, work: asyncio.Task[FinishReply | None]) -> None:
        self.answer = answer
        self.work = work
        self.stopped = False
        self.settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Somebody wants no more of it."""
        self.stopped = True
        self.work.cancel()


class TurnLoop:
    """The turns of one chatbot."""

    def __init__(self, definition: Definition, *, workplace: Workplace, metrics: ChatbotMetrics) -> None:
        self._definition = definition
        self._bus = workplace.bus
        self._publisher = workplace.publisher
        self._stops = workplace.stops
        self._at_work = workplace.at_work
        self._metrics = metrics
        self._queue = turn_queue(definition.id)
        self._replier = Replier(definition, bus=workplace.bus, partitions=workplace.partitions, metrics=metrics)
        self._slots = asyncio.Semaphore(definition.concurrency)
        self._running: dict[UUID, _Running] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None
        self._consumer: asyncio.Task[None] | None = None

    def start(self, tasks: Tasks) -> None:
        """Begin to take turns."""
        self._consumer = tasks.start(f"turns of {self._definition.id}", self._consume(tasks))

    async def drain(self) -> None:
        """Take no more; let what runs end, and hand back what does not end in time. Under 5 s."""
        await self._stop_taking()
        if self._handlers:
            await asyncio.wait(set(self._handlers), timeout=GRACE)
        for running in self._running.values():
            running.work.cancel()
        if self._handlers:
            await asyncio.wait(set(self._handlers), timeout=HAND_BACK)
        await self.close()

    async def close(self) -> None:
        """Give back what is not acked."""
        await self._stop_taking()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    async def _stop_taking(self) -> None:
        """End the consumer while its subscription is open: `take` of a closed one is an error."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.cancel()
            await asyncio.wait({consumer})

    async def _consume(self, tasks: Tasks) -> None:
        subscription = await self._bus.subscribe(self._queue, prefetch=self._definition.concurrency)
        self._subscription = subscription
        while True:
            for delivery in (await subscription.take()).deliveries:
                handler = tasks.start(f"turns of {self._definition.id}", self._handle(subscription, delivery))
                self._handlers.add(handler)
                handler.add_done_callback(self._handlers.discard)

    async def _handle(self, subscription: Subscription, delivery: Delivery) -> None:
        turns = await self._read(delivery)
        if self._definition.instant and not delivery.delivery_count:
            turns = await self._settle_at_once(turns)
        if len(turns) == 1:
            settled = await self._settle(turns[0], delivery)
        else:
            settled = all(await asyncio.gather(*(self._settle(turn, delivery) for turn in turns)))
        if settled:
            with contextlib.suppress(Unavailable):  # then it comes again, and is over
                await subscription.ack([delivery])

    async def _read(self, delivery: Delivery) -> list[RunTurn]:
        """The turns of a body; what is none goes to the dead letters, and its reply, if it names one, fails."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent as error:
            await self._bury(delivery.body, str(error), delivery)
            return []
        turns = []
        for event in events:
            try:
                if event.type != RunTurn.TYPE:
                    raise MalformedEvent("not a turn")
                turns.append(event.parse(RunTurn))
            except MalformedEvent as error:
                await self._bury(join([event.encode()]), str(error), delivery)
                if (failed := unreadable(event)) is not None:
                    await self._publisher.finish([failed])
        return turns

    async def _bury(self, body: bytes, reason: str, delivery: Delivery) -> None:
        self._metrics.ended("dead")
        await self._publisher.bury(self._queue, body, reason, delivery)

    async def _settle_at_once(self, turns: Sequence[RunTurn]) -> list[RunTurn]:
        """Answer the turns of an instant chatbot, all in one publication; those left over go the long way."""
        rest: list[RunTurn] = []
        finishes: list[FinishReply] = []
        paused = began = time.perf_counter()
        for turn in turns:
            if turn.again or turn.message_id in self._running or self._stops.holds(turn):
                rest.append(turn)
                continue
            try:
                finishes.append(await self._replier.answer_at_once(turn))
            except ChatbotFailed:
                rest.append(turn)
            if time.perf_counter() - paused > STRETCH:  # a long batch, or long texts: let others run
                await asyncio.sleep(0)
                paused = time.perf_counter()
        if finishes:
            self._metrics.duration.observe(time.perf_counter() - began)
            await self._publisher.finish(finishes)
            for status, turns_so in Counter(finish.status for finish in finishes).items():
                self._metrics.ended(status, turns_so)
        return rest

    async def _settle(self, turn: RunTurn, delivery: Delivery) -> bool:
        """Answer a turn; whether it may be acked."""
        running = self._running.get(turn.message_id)
        if running is not None:  # came again while it runs here: once is enough
            return await asyncio.shield(running.settled)
        answer = self._replier.answer(turn, turn.starts + delivery.delivery_count + 1)
        running = _Running(answer, asyncio.create_task(self._work(turn, delivery, answer), name="turn"))
        self._running[turn.message_id] = running
        settled = False
        try:
            with self._stops.watch(turn, running.stop):
                if self._stops.holds(turn):
                    running.stop()
                await asyncio.wait({running.work})
            settled = await self._conclude(running, turn, delivery)
        finally:
            running.work.cancel()
            running.settled.set_result(settled)
            del self._running[turn.message_id]
        return settled

    async def _work(self, turn: RunTurn, delivery: Delivery, answer: Answer) -> FinishReply | None:
        known_open = not turn.again and not delivery.delivery_count
        with self._shown(turn) if known_open else contextlib.nullcontext():
            async with self._slots:
                if not known_open and not await self._publisher.is_open(turn):
                    return None
                if delivery.delivery_count >= CRASHES_MAX:
                    return answer.given_up()
                with self._metrics.running.track_inprogress():
                    if known_open:
                        return await answer.run()
                    with self._shown(turn):
                        return await answer.run()

    def _shown(self, turn: RunTurn) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._definition.instant else self._at_work.shown(turn)

    async def _conclude(self, running: _Running, turn: RunTurn, delivery: Delivery) -> bool:
        if running.stopped and running.work.cancelled():
            finish: FinishReply | None = running.answer.stopped()
        elif running.work.cancelled():
            handed_back = await self._publisher.hand_back(turn, delivery)
            if handed_back:  # else the queue gives it back when we are gone
                self._metrics.ended("handed_back")
            return handed_back
        else:
            finish = running.work.result()
        if finish is None:
            self._metrics.ended("closed")
            return True
        await self._publisher.finish([finish])
        self._metrics.ended(finish.status)
        return True
