"""The turn loop: takes one chatbot's turns off its queue, has them answered, and acks when that is held.

A turn is acked only when its reply is in the log (or it is known to be over), so whatever dies, it comes again.
What came before, or was published again, may be over: then `chat.queries` is asked first. A worker that
stops publishes its unfinished turns again, with a higher number, and acks them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from pydantic import ValidationError

from chatbot_worker.catalogue import Definition
from chatbot_worker.limits import CRASHES_MAX
from chatbot_worker.live import SOURCE
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies import STRETCH, ChatbotFailed, Replier, unreadable
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts import ids
from shared.contracts.commands import FinishReply
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event, MalformedEvent, join, read_body
from shared.contracts.queries import IsTurnOpen, Reply, TurnResult
from shared.contracts.topology import DEAD, QUERIES, QUERY_KEY, TURNS, Exchange, log, turn_queue
from shared.contracts.turns import RunTurn
from shared.errors import PayloadTooLarge, Unavailable
from shared.runtime.service import Tasks

logger = structlog.get_logger(__name__)

GRACE = 3.0  # seconds that running turns get when the worker stops
HAND_BACK = 1.5  # seconds for publishing the others again
PAUSE_MIN, PAUSE_MAX = 0.1, 5.0  # seconds between two tries of what must happen


@dataclass(slots=True)
class _Running:
    """A turn at work here. `settled`: its reply is held, or it is known to be over."""

    work: asyncio.Task[FinishReply | None]
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class TurnLoop:
    """The turns of one chatbot."""

    def __init__(self, definition: Definition, *, bus: Bus, partitions: int, metrics: ChatbotMetrics) -> None:
        self._definition = definition
        self._bus = bus
        self._partitions = partitions
        self._metrics = metrics
        self._queue = turn_queue(definition.id)
        self._log = log(partitions)
        self._replier = Replier(definition, bus=bus, partitions=partitions, metrics=metrics)
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
                    await self._hold([self._publication(failed)])
        return turns

    async def _bury(self, body: bytes, reason: str, delivery: Delivery) -> None:
        logger.error("dead letter", queue=self._queue.name, reason=reason)
        self._metrics.ended("dead")
        letter = DeadLetter.of(body, queue=self._queue.name, reason=reason, attempts=delivery.delivery_count)
        try:
            await self._hold([(DEAD, self._queue.name, Event(SOURCE, letter))])
        except PayloadTooLarge:
            letter = letter.model_copy(update={"body": "", "reason": f"{reason} (too large to keep)"})
            await self._hold([(DEAD, self._queue.name, Event(SOURCE, letter))])

    async def _settle_at_once(self, turns: Sequence[RunTurn]) -> list[RunTurn]:
        """Answer the turns of an instant chatbot, all in one publication; those left over go the long way."""
        rest: list[RunTurn] = []
        finishes: list[FinishReply] = []
        paused = began = time.perf_counter()
        for turn in turns:
            if turn.again or turn.message_id in self._running:
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
            await self._hold([self._publication(finish) for finish in finishes])
            for status, turns_so in Counter(finish.status for finish in finishes).items():
                self._metrics.ended(status, turns_so)
        return rest

    async def _settle(self, turn: RunTurn, delivery: Delivery) -> bool:
        """Answer a turn; whether it may be acked."""
        running = self._running.get(turn.message_id)
        if running is not None:  # came again while it runs here: once is enough
            await running.settled.wait()
            return True
        running = _Running(asyncio.create_task(self._work(turn, delivery), name="turn"))
        self._running[turn.message_id] = running
        try:
            await asyncio.wait({running.work})
            settled = await self._conclude(running.work, turn, delivery)
            running.settled.set()
        finally:
            running.work.cancel()
            del self._running[turn.message_id]
        return settled

    async def _work(self, turn: RunTurn, delivery: Delivery) -> FinishReply | None:
        starts = turn.starts + delivery.delivery_count + 1
        async with self._slots:
            if (turn.again or delivery.delivery_count) and not await self._is_open(turn):
                return None
            if delivery.delivery_count >= CRASHES_MAX:
                return self._replier.give_up(turn, starts)
            with self._metrics.running.track_inprogress():
                return await self._replier.answer(turn, starts)

    async def _conclude(self, work: asyncio.Task[FinishReply | None], turn: RunTurn, delivery: Delivery) -> bool:
        if work.cancelled():
            return await self._hand_back(turn, delivery)
        finish = work.result()
        if finish is None:
            self._metrics.ended("closed")
            return True
        await self._hold([self._publication(finish)])
        self._metrics.ended(finish.status)
        return True

    def _publication(self, finish: FinishReply) -> tuple[Exchange, str, Event]:
        key = str(ids.partition(finish.session_id, self._partitions))
        return self._log, key, Event(SOURCE, finish, str(finish.session_id))

    async def _hand_back(self, turn: RunTurn, delivery: Delivery) -> bool:
        again = turn.model_copy(update={"again": True, "starts": turn.starts + delivery.delivery_count + 1})
        try:
            await self._bus.publish(TURNS, turn.chatbot_id, Event(SOURCE, again, str(turn.session_id)))
        except Unavailable:
            return False  # the queue gives it back when we are gone
        self._metrics.ended("handed_back")
        return True

    async def _hold(self, publications: Sequence[tuple[Exchange, str, Event]]) -> None:
        """Publish, again and again under the same ids, until the bus holds all of it."""
        pause = PAUSE_MIN
        while True:
            try:
                return await self._bus.publish_all(publications)
            except Unavailable:
                pause = await _wait(pause)

    async def _is_open(self, turn: RunTurn) -> bool:
        """Whether the turn still waits for its reply; asks until there is an answer."""
        question = IsTurnOpen(session_id=turn.session_id, message_id=turn.message_id)
        pause = PAUSE_MIN
        while True:
            try:
                answer = await self._bus.request(QUERIES, QUERY_KEY, Event(SOURCE, question, str(turn.session_id)))
                reply = answer.parse(Reply)
                if reply.error is None:
                    return TurnResult.read(reply.result).open
                logger.warning("turn not known", code=reply.error.code)
            except Unavailable:
                pass
            except (MalformedEvent, ValidationError):
                logger.exception("an answer that cannot be read")
            pause = await _wait(pause)


async def _wait(pause: float) -> float:
    """Wait about `pause` seconds (no two workers in step); the pause after that."""
    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
    return min(pause * 2, PAUSE_MAX)
