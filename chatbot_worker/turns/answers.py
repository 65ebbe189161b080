"""One turn being answered: try after try within the limit of the whole reply, then perhaps by a stand-in."""

from __future__ import annotations

import asyncio
import random
import secrets

from chatbot_worker.replies.finishing import ChatbotFailed, fault, finish
from chatbot_worker.replies.replier import Replier
from chatbot_worker.replies.reply_stream import LiveReply
from chatbot_worker.rules.attempts import attempt_number
from chatbot_worker.rules.errors import CHATBOT_FAILED, UNAVAILABLE
from chatbot_worker.rules.limits import TRIES_MAX
from shared.contracts.commands import FinishReply
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView

RETRY_PAUSE = 0.5  # seconds before a chatbot that failed is tried again, doubled each time


class Answer:
    """One turn being answered: `run` it, and if that was cancelled, ask for what had been written: `stopped`.

    `starts` counts the publications and deliveries of this turn, this one included.
    """

    def __init__(self, turn: RunTurn, starts: int) -> None:
        self._turn = turn
        self._starts = starts
        self._live: LiveReply | None = None
        self._attempt = self._number(0)
        self.helpless = False  # it failed with nothing to show, so that somebody else might answer

    async def run(self, replier: Replier) -> FinishReply:
        """Have the chatbot try until it has answered, or has failed for good."""
        loop = asyncio.get_running_loop()
        limits = replier.definition.limits
        end = loop.time() + limits.total
        error = UNAVAILABLE
        refused = False
        with replier.engaged():
            for retry in range(limits.attempts):
                if not replier.circuit.admits():
                    break
                try:
                    return await self._try(replier, retry, end)
                except ChatbotFailed as failed:
                    error, refused = failed.error, failed.refused
                    pause = max(RETRY_PAUSE * 2**retry * random.uniform(0.5, 1), failed.retry_after)  # noqa: S311
                    if not failed.again or retry + 1 == limits.attempts or loop.time() + pause >= end:
                        break
                await asyncio.sleep(pause)
        self.helpless = not refused and not self._text()
        return self._end(error)

    async def stand_in(self, other: Replier, absent: str) -> FinishReply | None:
        """Have another chatbot answer for the `absent` one, as the text says first; `None` if it cannot either."""
        if not other.circuit.admits():
            return None
        notice = f"({other.definition.entry.name} answers for {absent}, which is not available.)\n\n"
        end = asyncio.get_running_loop().time() + other.definition.limits.total
        with other.engaged():
            try:
                return await self._try(other, TRIES_MAX, end, notice)
            except ChatbotFailed:
                return None

    def stopped(self) -> FinishReply:
        """The end of a turn that somebody stopped, with the text so far."""
        return finish(self._turn, self._attempt, self._text(), status="stopped")

    def given_up(self) -> FinishReply:
        """The end of a turn that takes its workers down with it."""
        return finish(self._turn, self._attempt, "", CHATBOT_FAILED)

    async def _try(self, replier: Replier, retry: int, end: float, notice: str = "") -> FinishReply:
        self._attempt = self._number(retry)
        self._live = live = replier.live(self._turn, self._attempt)
        await replier.write(self._turn, live, end, notice)
        return self._end(fault(live.text))

    def _end(self, error: ErrorView | None) -> FinishReply:
        return finish(self._turn, self._attempt, self._text(), error)

    def _number(self, retry: int) -> int:
        return attempt_number(self._starts, retry, TRIES_MAX + 1, secrets.randbelow)  # and one for a stand-in

    def _text(self) -> str:
        return "" if self._live is None else self._live.text.content
