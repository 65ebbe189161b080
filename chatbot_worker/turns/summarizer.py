"""Summaries of what has left a chatbot's window, made by itself after a reply: they delay none, and none needs them."""

from __future__ import annotations

import asyncio
from uuid import UUID

from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies.chatbot_run import CLOSE_TIMEOUT
from chatbot_worker.replies.finishing import log_failure
from chatbot_worker.replies.replier import Replier
from chatbot_worker.turns.fairness import Slots
from chatbot_worker.turns.publishing import Publisher
from shared.contracts.commands import SummarizeSession
from shared.contracts.turns import RunTurn

NOBODY = ""  # who holds the slots of summaries: all of them together have the share of one person


class Folding:
    """The summaries under way for one chatbot; at most one a session. What comes of none is made after a later turn."""

    def __init__(self, slots: Slots, publisher: Publisher, metrics: ChatbotMetrics) -> None:
        self._slots = slots
        self._publisher = publisher
        self._metrics = metrics
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._stopped = False

    def begin(self, replier: Replier, turn: RunTurn) -> None:
        """Have what this turn left behind summed up, if it is time, a slot is free and the chatbot is well."""
        if self._stopped or turn.session_id in self._under_way or not self._slots.free or replier.circuit.open:
            return
        if not (messages := replier.left_behind(turn)):
            return

        async def fold() -> None:
            try:
                async with self._slots.hold(NOBODY):
                    text = await replier.sum_up(turn, messages)
                if text:
                    up_to = messages[-1].seq
                    fields = {"session_id": turn.session_id, "chatbot_id": turn.chatbot_id, "as_of": turn.as_of}
                    await self._publisher.offer(SummarizeSession(**fields, up_to_seq=up_to, text=text))
                self._metrics.summed_up("kept" if text else "failed")
            except Exception as error:  # noqa: BLE001 - a chatbot may raise what it likes
                self._metrics.summed_up("failed")
                log_failure(error, chatbot=turn.chatbot_id, at_work_on="summary")
            finally:
                del self._under_way[turn.session_id]

        self._under_way[turn.session_id] = asyncio.create_task(fold(), name="summary")

    async def stop(self) -> None:
        """Give up what is under way, and begin nothing more; what will not end is left behind."""
        self._stopped = True
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)
