"""Lets a chatbot summarize, after a reply, the messages that have left its context window.

No reply waits for a summary, and none needs one.
"""

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
from shared.contracts.turns import ContextMessage, RunTurn

USER = ""  # that holds the slots of summaries: all of a chatbot's summaries together have the share of one user


class Summarizer:
    """The summaries under way for one chatbot, at most one a session. A failed one is made after a later turn."""

    def __init__(self, slots: Slots, publisher: Publisher, metrics: ChatbotMetrics) -> None:
        self._slots = slots
        self._publisher = publisher
        self._metrics = metrics
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._stopped = False

    def begin(self, replier: Replier, turn: RunTurn) -> None:
        """Start a summary if enough messages have left the window, a slot is free and the circuit is closed."""
        if self._stopped or turn.session_id in self._under_way or not self._slots.free or replier.circuit.open:
            return
        if messages := replier.messages_to_summarize(turn):
            work = self._summarize(replier, turn, messages)
            self._under_way[turn.session_id] = asyncio.create_task(work, name="summary")

    async def stop(self) -> None:
        """Cancel the summaries under way, and start no more. One that does not end in time is left behind."""
        self._stopped = True
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)

    async def _summarize(self, replier: Replier, turn: RunTurn, messages: tuple[ContextMessage, ...]) -> None:
        try:
            async with self._slots.hold(USER):
                text = await replier.summarize(turn, messages)
            if text:
                summary = SummarizeSession(
                    session_id=turn.session_id,
                    chatbot_id=turn.chatbot_id,
                    as_of=turn.as_of,
                    up_to_seq=messages[-1].seq,
                    text=text,
                )
                await self._publisher.summarize(summary)
            self._metrics.summarized("kept" if text else "failed")
        except Exception as error:  # noqa: BLE001 - a chatbot may raise anything
            self._metrics.summarized("failed")
            log_failure(error, chatbot=turn.chatbot_id, task="summary")
        finally:
            del self._under_way[turn.session_id]
