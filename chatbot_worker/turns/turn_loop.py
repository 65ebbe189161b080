"""Answers the turns of one chatbot, and decides which deliveries may be acknowledged.

A turn is acknowledged only when its reply is in the log, or when it is known to be closed; otherwise the broker
delivers it again. A turn that was delivered or published before may be closed: `chat.queries` is asked first.
A worker that stops publishes its unfinished turns again, with a higher number of starts, and acknowledges them.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Sequence
from uuid import UUID

from chatbot_worker.catalogue.definitions import Definition
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies.chatbot_run import STRETCH_MAX
from chatbot_worker.replies.replier import Replier
from chatbot_worker.turns.execution import TurnExecution
from chatbot_worker.turns.fairness import BacklogShare, Slots, look_ahead
from chatbot_worker.turns.intake import Intake
from chatbot_worker.turns.interruptions import HandBack
from chatbot_worker.turns.summarizer import Summarizer
from chatbot_worker.turns.worker_context import ActiveChatbot, WorkerContext
from shared.bus.port import Delivery
from shared.contracts.commands import FinishReply
from shared.contracts.topology import turn_queue
from shared.contracts.turns import RunTurn
from shared.runtime.service import Tasks

GRACE = 3.0  # seconds for running turns to end when the worker stops
HAND_BACK_TIMEOUT = 1.5  # seconds for requeueing turns that have not ended


class TurnLoop:
    """The turns of one chatbot. Its definition may change: new turns follow the new one, running turns do not."""

    def __init__(self, definition: Definition, *, worker: WorkerContext, metrics: ChatbotMetrics) -> None:
        self._worker = worker
        self._metrics = metrics
        self.chatbot = ActiveChatbot(self._new_replier(definition), Slots(definition.concurrency), metrics)
        self._summarizer = Summarizer(self.chatbot.slots, worker.publisher, metrics)
        self._backlog = BacklogShare()
        self._executions: dict[UUID, TurnExecution] = {}
        self._intake = Intake(
            turn_queue(definition.id),
            bus=worker.bus,
            publisher=worker.publisher,
            answer=self._answer_all,
            on_dead_letter=lambda: metrics.ended("dead"),
        )

    @property
    def definition(self) -> Definition:
        """The definition that new turns follow."""
        return self.chatbot.replier.definition

    def start(self, tasks: Tasks) -> None:
        """Start to take turns, or take as many more as a new definition allows."""
        concurrency = self.definition.concurrency
        room = 0 if self.definition.card.immediate else look_ahead(concurrency)  # a delivery may hold many turns
        self._intake.consume(tasks, concurrency + room)

    def adopt(self, definition: Definition) -> Replier:
        """Follow another definition from the next turn on; return the replier that is to be closed."""
        old, self.chatbot.replier = self.chatbot.replier, self._new_replier(definition)
        self.chatbot.slots.resize(definition.concurrency)
        return old

    async def drain(self) -> None:
        """Take no more turns, wait for running ones, and requeue those that do not end in time. Takes under 5 s."""
        await self._stop_taking()
        await self._intake.idle(GRACE)
        for execution in self._executions.values():
            execution.shut_down()
        await self._intake.idle(HAND_BACK_TIMEOUT)
        await self._intake.close()

    async def retire(self) -> None:
        """Take no more turns, and wait until the running ones have ended."""
        await self._stop_taking()
        await self._intake.idle()
        await self._intake.close()

    async def _stop_taking(self) -> None:
        await self._intake.stop()
        await self._summarizer.stop()
        for execution in self._executions.values():
            if not execution.started:
                execution.shut_down()

    async def close(self) -> None:
        """Stop, and give the unacknowledged deliveries back to the broker."""
        await self._summarizer.stop()
        await self._intake.close()

    def _new_replier(self, definition: Definition) -> Replier:
        worker = self._worker
        return Replier(definition, batcher=worker.batcher, partitions=worker.partitions, metrics=self._metrics)

    async def _answer_all(self, turns: Sequence[RunTurn], delivery: Delivery) -> bool:
        """Answer the turns of one delivery, side by side; return whether it may be acknowledged."""
        ready: list[tuple[RunTurn, FinishReply]] = []
        unready: list[TurnExecution] = []
        running: list[TurnExecution] = []
        resumed_at = time.perf_counter()
        for turn in turns:
            if (execution := self._executions.get(turn.message_id)) is not None:
                running.append(execution)  # its turn was delivered again
                continue
            execution = TurnExecution(turn, delivery, self.chatbot, self._worker)
            if (reply := execution.start()) is not None:
                ready.append((turn, reply))
            else:
                unready.append(execution)
                self._executions[turn.message_id] = execution
            if time.perf_counter() - resumed_at > STRETCH_MAX:
                await asyncio.sleep(0)
                resumed_at = time.perf_counter()
        work: list[Awaitable[bool]] = [self._run(execution) for execution in unready]
        work += [asyncio.shield(execution.ended) for execution in running]
        if ready:
            work.append(self._publish(ready))
        return await work[0] if len(work) == 1 else all(await asyncio.gather(*work))

    async def _run(self, execution: TurnExecution) -> bool:
        """Run an execution until it has ended; return whether its turn may be acknowledged."""
        self._limit_backlog()
        acknowledgeable = False
        try:
            acknowledgeable = await self._conclude(execution, await execution.run())
        finally:
            del self._executions[execution.turn.message_id]
            execution.end(acknowledgeable=acknowledgeable)
        return acknowledgeable

    async def _conclude(self, execution: TurnExecution, outcome: FinishReply | HandBack | None) -> bool:
        if isinstance(outcome, FinishReply):
            return await self._publish([(execution.turn, outcome)])
        if outcome is None:
            self._metrics.ended("closed")
            return True
        handed_back = await self._worker.publisher.hand_back(execution.turn, execution.starts, once=outcome.urgent)
        if handed_back:
            self._metrics.ended("handed_back")
        return handed_back

    async def _publish(self, replies: Sequence[tuple[RunTurn, FinishReply]]) -> bool:
        """Put finished replies into the log, in one publication."""
        await self._worker.publisher.finish([reply for _, reply in replies])
        for turn, reply in replies:
            self._metrics.ended(reply.status)
            if reply.status == "complete":
                self._summarizer.begin(self.chatbot.replier, turn)
        return True

    def _limit_backlog(self) -> None:
        """Requeue waiting turns of a user with too many of them."""
        room = look_ahead(self.definition.concurrency)
        if self.definition.card.immediate or len(self._executions) < room:
            return
        waiting = [execution for execution in self._executions.values() if not execution.started]
        user, excess = self._backlog.excess([execution.user for execution in waiting], room)
        newest_first = (execution for execution in reversed(waiting) if execution.user == user)
        for execution in itertools.islice(newest_first, excess):
            execution.yield_place()
