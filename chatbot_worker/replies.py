"""One reply: have the chatbot try within its limits, tell the gateways what it writes, end with a `FinishReply`."""

from __future__ import annotations

import asyncio
import random
import secrets
import traceback

import structlog
from pydantic import ValidationError

from chatbot_worker.catalogue import Definition
from chatbot_worker.chatbots.protocol import ReplyError, Turn
from chatbot_worker.limits import CHATBOT_FAILED, EMPTY_REPLY, TIMEOUT, TOO_LONG, attempt_number
from chatbot_worker.live import InstantReply, LiveReply
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.streaming import ReplyText
from chatbot_worker.writing import Run, TookTooLong, close
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import Received
from shared.contracts.payload import utc_now
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView, MessageStatus

logger = structlog.get_logger(__name__)

RETRY_PAUSE = 0.5  # seconds before a chatbot that failed is tried again, doubled each time


class Replier:
    """Answers turns of one chatbot. Knows nothing of queues and acks."""

    def __init__(self, definition: Definition, *, bus: Bus, partitions: int, metrics: ChatbotMetrics) -> None:
        self.definition = definition
        self.metrics = metrics
        self._bus = bus
        self._partitions = partitions

    def answer(self, turn: RunTurn, starts: int) -> Answer:
        """An answer to begin. `starts` counts the publications and deliveries of this turn, this one included."""
        return Answer(self, turn, starts)

    async def answer_at_once(self, turn: RunTurn) -> FinishReply:
        """The same for an instant chatbot's first try: no task, no timer, nothing to wait for.

        Raises:
            ChatbotFailed: try it by `answer`.
        """
        attempt = attempt_number(turn.starts + 1, 0, self.definition.limits.attempts, secrets.randbelow)
        live = InstantReply(
            self._bus, turn, attempt=attempt, partition=self._partition(turn), interval=self.definition.delta_interval
        )
        pieces = self.definition.chatbot.reply(to_chatbot(turn))
        try:
            async for piece in pieces:
                live.add(piece)
                if live.text.full:
                    await close(pieces)
                    break
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise
            log_failure(turn, error)
            raise ChatbotFailed from None
        return finish(turn, attempt, live.text.content, fault(live.text))

    def live(self, turn: RunTurn, attempt: int) -> LiveReply:
        """The text of an attempt that begins."""
        return LiveReply(
            self._bus, turn, attempt=attempt, partition=self._partition(turn), interval=self.definition.delta_interval
        )

    def _partition(self, turn: RunTurn) -> int:
        return ids.partition(turn.session_id, self._partitions)


class Answer:
    """One turn being answered: `run` it, and if that was cancelled, ask for what had been `written`."""

    def __init__(self, replier: Replier, turn: RunTurn, starts: int) -> None:
        self._replier = replier
        self._limits = replier.definition.limits
        self._turn = turn
        self._starts = starts
        self._live: LiveReply | None = None
        self._attempt = 0

    async def run(self) -> FinishReply:
        """Have the chatbot try until it has answered, or has failed for good."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.total
        for retry in range(self._limits.attempts):
            try:
                return await self._try(retry, end)
            except ChatbotFailed as failed:
                error = failed.error
                pause = max(RETRY_PAUSE * 2**retry * random.uniform(0.5, 1), failed.retry_after)  # noqa: S311
                if not failed.again or retry + 1 == self._limits.attempts or loop.time() + pause >= end:
                    break
            await asyncio.sleep(pause)
        return self._end(error)

    def stopped(self) -> FinishReply:
        """The end of a turn that somebody stopped, with the text so far."""
        return finish(self._turn, self._number(), self._text(), status="stopped")

    def given_up(self) -> FinishReply:
        """The end of a turn that takes its workers down with it."""
        return finish(self._turn, self._number(), "", CHATBOT_FAILED)

    async def _try(self, retry: int, end: float) -> FinishReply:
        self._attempt = attempt_number(self._starts, retry, self._limits.attempts, secrets.randbelow)
        self._live = live = self._replier.live(self._turn, self._attempt)
        began = asyncio.get_running_loop().time()
        try:
            pieces = self._replier.definition.chatbot.reply(to_chatbot(self._turn))
            await Run(pieces, live).write(self._limits, end)
        except Exception as error:  # noqa: BLE001 - a chatbot may raise what it likes
            log_failure(self._turn, error)
            raise failure(error) from None
        finally:
            live.close()
            self._replier.metrics.duration.observe(asyncio.get_running_loop().time() - began)
        return self._end(fault(live.text))

    def _end(self, error: ErrorView | None) -> FinishReply:
        return finish(self._turn, self._attempt, self._text(), error)

    def _number(self) -> int:
        return self._attempt or attempt_number(self._starts, 0, self._limits.attempts, secrets.randbelow)

    def _text(self) -> str:
        return "" if self._live is None else self._live.text.content


class ChatbotFailed(Exception):
    """An attempt failed; `again` says whether another one may help, `retry_after` (seconds) not before when."""

    def __init__(self, error: ErrorView = CHATBOT_FAILED, *, again: bool = True, retry_after: float = 0.0) -> None:
        self.error = error
        self.again = again
        self.retry_after = retry_after
        super().__init__()


def failure(error: Exception) -> ChatbotFailed:
    """What a chatbot's error means for its turn."""
    if not isinstance(error, ReplyError):
        return ChatbotFailed()
    told = TIMEOUT if isinstance(error, TookTooLong) else CHATBOT_FAILED
    return ChatbotFailed(told, again=error.again, retry_after=error.retry_after or 0.0)


def finish(
    turn: RunTurn, attempt: int, content: str, error: ErrorView | None = None, status: MessageStatus | None = None
) -> FinishReply:
    """The end of a turn; its status follows from what was wrong, unless somebody stopped it."""
    return FinishReply(
        session_id=turn.session_id,
        message_id=turn.message_id,
        chatbot_id=turn.chatbot_id,
        attempt=attempt,
        content=content,
        status=status or ("complete" if error is None else "stopped" if error is TOO_LONG else "failed"),
        error=error,
        created_at=utc_now(),
    )


def unreadable(turn: Received) -> FinishReply | None:
    """The end of a turn that this release cannot read; none if it is no turn, or does not say which one it is."""
    if turn.type != RunTurn.TYPE:
        return None
    try:
        return FinishReply(
            session_id=turn.data["session_id"],
            message_id=turn.data["message_id"],
            chatbot_id=turn.data["chatbot_id"],
            attempt=0,
            content="",
            status="failed",
            error=CHATBOT_FAILED,
            created_at=utc_now(),
        )
    except (KeyError, ValidationError):
        return None


def to_chatbot(turn: RunTurn) -> Turn:
    """The turn as its chatbot gets it."""
    return Turn(turn.session_id, turn.message_id, turn.chatbot_id, tuple(turn.context))


def fault(text: ReplyText) -> ErrorView | None:
    """What is wrong with a reply that ended by itself."""
    if text.full:
        return TOO_LONG
    return None if text.length else EMPTY_REPLY


def log_failure(turn: RunTurn, error: BaseException) -> None:
    """An error's type and place. Never its message, which may quote people, unless the chatbot vouches for it."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    logger.warning(
        "chatbot failed",
        chatbot=turn.chatbot_id,
        message_id=str(turn.message_id),
        error=type(error).__name__,
        reason=error.reason if isinstance(error, ReplyError) else "",
        at=at,
    )


def _cancelled() -> bool:
    """Whether somebody cancels us; some libraries raise `CancelledError` by themselves."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
