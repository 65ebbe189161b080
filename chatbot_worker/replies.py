"""One reply: run the chatbot within its limits, tell the gateways what it writes, end with a `FinishReply`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import traceback
from collections.abc import AsyncIterator

import structlog
from pydantic import ValidationError

from chatbot_worker.catalogue import Definition
from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.limits import CHATBOT_FAILED, EMPTY_REPLY, TIMEOUT, TOO_LONG, attempt_number
from chatbot_worker.live import SOURCE, InstantReply, LiveReply
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.streaming import ReplyText
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import Event, Received
from shared.contracts.events import TypingChanged
from shared.contracts.payload import utc_now
from shared.contracts.topology import DELIVERY, session_key
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView, MessageStatus

logger = structlog.get_logger(__name__)

RETRY_PAUSE = 0.5  # seconds before a chatbot that raised is tried again, doubled each time
CLOSE_TIMEOUT = 1.0  # seconds that a chatbot may take to clean up after itself
STRETCH = 0.01  # seconds after which a chatbot that never waits is made to let others run


class Replier:
    """Answers turns of one chatbot. Knows nothing of queues and acks."""

    def __init__(self, definition: Definition, *, bus: Bus, partitions: int, metrics: ChatbotMetrics) -> None:
        self._definition = definition
        self._bus = bus
        self._partitions = partitions
        self._metrics = metrics

    async def answer(self, turn: RunTurn, starts: int) -> FinishReply:
        """Run the chatbot until it has answered, or has failed for good.

        `starts` counts the publications and deliveries of this turn, this one included.
        """
        if self._definition.instant:
            return await self._attempts(turn, starts)
        self._typing(turn, typing=True)
        try:
            return await self._attempts(turn, starts)
        finally:
            self._typing(turn, typing=False)

    async def answer_at_once(self, turn: RunTurn) -> FinishReply:
        """The same for an instant chatbot's first try: no task, no timer, nothing to wait for.

        Raises:
            ChatbotFailed: try it by `answer`.
        """
        partition = ids.partition(turn.session_id, self._partitions)
        attempt = attempt_number(turn.starts + 1, 0, self._definition.limits.attempts, secrets.randbelow)
        live = InstantReply(
            self._bus, turn, attempt=attempt, partition=partition, interval=self._definition.delta_interval
        )
        pieces = self._definition.chatbot.reply(_turn(turn))
        try:
            async for piece in pieces:
                live.add(piece)
                if live.text.full:
                    await _close(pieces)
                    break
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise
            _log_failure(turn, error)
            raise ChatbotFailed from None
        return self._finish(turn, attempt, live.text.content, _fault(live.text))

    def give_up(self, turn: RunTurn, starts: int) -> FinishReply:
        """The end of a turn that takes its workers down with it."""
        return self._finish(turn, attempt_number(starts, 0, 1, secrets.randbelow), "", CHATBOT_FAILED)

    async def _attempts(self, turn: RunTurn, starts: int) -> FinishReply:
        attempts = self._definition.limits.attempts
        for retry in range(attempts):
            if retry:
                await asyncio.sleep(RETRY_PAUSE * 2 ** (retry - 1))
            attempt = attempt_number(starts, retry, attempts, secrets.randbelow)
            live = LiveReply(
                self._bus,
                turn,
                attempt=attempt,
                partition=ids.partition(turn.session_id, self._partitions),
                interval=self._definition.delta_interval,
            )
            try:
                error = await self._write(turn, live)
            except ChatbotFailed:
                error = CHATBOT_FAILED
                continue
            finally:
                live.close()
            break
        return self._finish(turn, attempt, live.text.content, error)

    async def _write(self, turn: RunTurn, live: LiveReply) -> ErrorView | None:
        """Run the chatbot once; what was wrong with how it ended."""
        limits = self._definition.limits
        loop = asyncio.get_running_loop()
        began = loop.time()
        end = began + limits.total
        pieces = self._definition.chatbot.reply(_turn(turn))
        deadline = asyncio.timeout_at(min(end, began + limits.first_token))
        try:
            async with deadline:
                paused = began
                async for piece in pieces:
                    live.add(piece)
                    if live.text.full:
                        break
                    now = loop.time()
                    deadline.reschedule(min(end, now + limits.between_tokens))
                    if now - paused > STRETCH:
                        await asyncio.sleep(0)
                        paused = loop.time()
        except (Exception, asyncio.CancelledError) as error:
            if deadline.expired():
                return TIMEOUT
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise
            _log_failure(turn, error)
            raise ChatbotFailed from None
        finally:
            await _close(pieces)
            self._metrics.duration.observe(loop.time() - began)
        return _fault(live.text)

    def _finish(self, turn: RunTurn, attempt: int, content: str, error: ErrorView | None) -> FinishReply:
        status: MessageStatus = "complete" if error is None else "stopped" if error is TOO_LONG else "failed"
        return FinishReply(
            session_id=turn.session_id,
            message_id=turn.message_id,
            chatbot_id=turn.chatbot_id,
            attempt=attempt,
            content=content,
            status=status,
            error=error,
            created_at=utc_now(),
        )

    def _typing(self, turn: RunTurn, *, typing: bool) -> None:
        changed = TypingChanged(
            session_id=turn.session_id, sender_type="chatbot", sender_id=turn.chatbot_id, typing=typing
        )
        key = session_key(ids.partition(turn.session_id, self._partitions))
        self._bus.stream(DELIVERY, key, Event(SOURCE, changed, str(turn.session_id)))


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


class ChatbotFailed(Exception):
    """The chatbot raised; it may be tried again."""


def _cancelled() -> bool:
    """Whether somebody cancels us; some libraries raise `CancelledError` by themselves."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _turn(turn: RunTurn) -> Turn:
    return Turn(turn.session_id, turn.message_id, turn.chatbot_id, tuple(turn.context))


def _fault(text: ReplyText) -> ErrorView | None:
    """What is wrong with a reply that ended by itself."""
    if text.full:
        return TOO_LONG
    return None if text.length else EMPTY_REPLY


def _log_failure(turn: RunTurn, error: BaseException) -> None:
    """An error's type and place. Never its message: it may quote what people wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    logger.warning(
        "chatbot failed",
        chatbot=turn.chatbot_id,
        message_id=str(turn.message_id),
        error=type(error).__name__,
        at=at,
    )


async def _close(pieces: AsyncIterator[str]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await close()
