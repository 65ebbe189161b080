"""Reads a reply from a chatbot in a separate task, so that its turn proceeds even if it ignores a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from chatbot_worker.chatbots.protocol import Correction, Piece, Reasoning, ReplyError, on_progress
from chatbot_worker.replies.reply_stream import ReplyStream
from chatbot_worker.rules.limits import Limits

logger = structlog.get_logger(__name__)

STRETCH_MAX = 0.01  # seconds after which a chatbot that never waits is paused, so that other tasks run
CLOSE_TIMEOUT = 0.5  # seconds that a chatbot may take to clean up after itself; a stop is due within 1 s


class LimitExceeded(ReplyError):
    """A time limit ended the run. After the limit of the whole reply (`total`) no further try makes sense."""

    def __init__(self, *, total: bool) -> None:
        super().__init__("took too long", retryable=not total)


class ChatbotRun:
    """One run of a chatbot, within its limits. Call `write` once; if that is cancelled, the chatbot is closed."""

    def __init__(self, pieces: AsyncIterator[Piece], stream: ReplyStream) -> None:
        self._pieces = pieces
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._started_at = self._last_sign_at = self._loop.time()
        self._first_text_at: float | None = None
        self._first_text: asyncio.Future[None] = self._loop.create_future()
        self._abandoned = False

    @property
    def first_text_after(self) -> float | None:
        """Seconds from the start to the first text; none without text."""
        return None if self._first_text_at is None else self._first_text_at - self._started_at

    async def write(self, limits: Limits, end: float) -> None:
        """Run the chatbot until its reply is complete or full.

        Args:
            limits: seconds between two signs of life, before and after the first text.
            end: loop time at which the whole reply must have ended.

        Raises:
            LimitExceeded: a limit has passed.
            Exception: any error of the chatbot.
        """
        task = asyncio.create_task(self._read(), name="chatbot")
        events: set[asyncio.Future[None]] = {task, self._first_text}
        try:
            while (due := self._due(limits, end)) > (now := self._loop.time()):
                await asyncio.wait(events, timeout=due - now, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    return _raise_error(task)
                if self._first_text.done():
                    events = {task}
            raise LimitExceeded(total=due >= end)
        finally:
            self._abandoned = True
            if not task.done():
                await _release(task)

    def _due(self, limits: Limits, end: float) -> float:
        patience = limits.first_token if self._first_text_at is None else limits.between_tokens
        return min(end, self._last_sign_at + patience)

    async def _read(self) -> None:
        on_progress(self._note_sign)
        resumed_at = self._loop.time()
        try:
            async for piece in self._pieces:
                if self._abandoned:
                    return
                self._add(piece)
                if self._stream.text.full:
                    return
                now = self._loop.time()
                if now - resumed_at > STRETCH_MAX:
                    await asyncio.sleep(0)
                    resumed_at = self._loop.time()
        finally:
            await close(self._pieces)

    def _add(self, piece: Piece) -> None:
        if isinstance(piece, Reasoning):
            self._stream.add_reasoning(piece.text)
            self._note_sign()
        elif isinstance(piece, Correction):
            self._stream.replace(piece.content, piece.reasoning)
            self._note_sign()
        else:
            self._stream.add(piece)
            if piece:
                self._note_sign()
                self._note_first_text()

    def _note_sign(self) -> None:
        self._last_sign_at = self._loop.time()

    def _note_first_text(self) -> None:
        if self._first_text_at is None:
            self._first_text_at = self._last_sign_at
            self._first_text.set_result(None)


async def close(pieces: AsyncIterator[Piece]) -> None:
    """Close the iterator of a chatbot. Errors are ignored: they change no reply any more."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await aclose()


def _raise_error(task: asyncio.Task[None]) -> None:
    try:
        task.result()
    except asyncio.CancelledError:  # not cancelled by this worker: some libraries raise this themselves
        raise RuntimeError("cancelled from inside") from None


async def _release(task: asyncio.Task[None]) -> None:
    """Cancel the task, and leave it behind if it does not end in time."""
    task.cancel()
    await asyncio.wait({task}, timeout=CLOSE_TIMEOUT)
    if not task.done():
        logger.error("chatbot.abandoned", seconds=CLOSE_TIMEOUT)
    task.add_done_callback(_retrieve_error)


def _retrieve_error(task: asyncio.Task[None]) -> None:
    """Mark a late error as seen, so that asyncio does not log it as never retrieved."""
    if not task.cancelled():
        task.exception()
