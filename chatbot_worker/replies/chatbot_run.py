"""One run of a chatbot: in a task of its own, so that whatever it does with a cancellation, its turn goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.replies.reply_stream import LiveReply
from chatbot_worker.rules.limits import Limits

logger = structlog.get_logger(__name__)

STRETCH = 0.01  # seconds after which a chatbot that never waits is made to let others run
CLOSE_TIMEOUT = 0.5  # seconds that a chatbot may take to clean up after itself; a stop is due within 1 s


class TookTooLong(ReplyError):
    """A limit ended the run: after that of the whole reply another one makes no sense."""

    def __init__(self, *, total: bool) -> None:
        super().__init__("took too long", again=not total)


class Run:
    """One run of a chatbot. `write` once; it may be cancelled, and then the chatbot is closed too."""

    def __init__(self, pieces: AsyncIterator[str], live: LiveReply) -> None:
        self._pieces = pieces
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._began = self._heard_first = self._heard_at
        self._begun: asyncio.Future[None] = self._loop.create_future()  # the first text has come
        self._over = False

    @property
    def first_after(self) -> float | None:
        """Seconds from the start to the first text, if any came."""
        return self._heard_first - self._began if self._begun.done() else None

    async def write(self, limits: Limits, end: float) -> None:
        """Let the chatbot write until it has ended or the reply is full.

        Args:
            limits: for the first piece and between two.
            end: of the whole reply, in the loop's time.

        Raises:
            TookTooLong: a limit has passed.
            Exception: whatever the chatbot raised.
        """
        pump = asyncio.create_task(self._pump(), name="chatbot")
        news: set[asyncio.Future[None]] = {pump, self._begun}
        try:
            while (due := self._due(limits, end)) > (now := self._loop.time()):
                await asyncio.wait(news, timeout=due - now, return_when=asyncio.FIRST_COMPLETED)
                if self._begun.done():
                    news = {pump}
                if pump.done():
                    return _outcome(pump)
            raise TookTooLong(total=due >= end)
        finally:
            self._over = True
            await _release(pump)

    def _due(self, limits: Limits, end: float) -> float:
        patience = limits.between_tokens if self._begun.done() else limits.first_token
        return min(end, self._heard_at + patience)

    async def _pump(self) -> None:
        paused = self._loop.time()
        try:
            async for piece in self._pieces:
                if self._over:
                    return
                self._live.add(piece)
                if self._live.text.full:
                    return
                now = self._loop.time()
                if piece:
                    self._heard_at = now
                    if not self._begun.done():
                        self._heard_first = now
                        self._begun.set_result(None)
                if now - paused > STRETCH:
                    await asyncio.sleep(0)
                    paused = self._loop.time()
        finally:
            await close(self._pieces)


async def close(pieces: AsyncIterator[str]) -> None:
    """Close what a chatbot writes with; what goes wrong there changes no reply any more."""
    end = getattr(pieces, "aclose", None)
    if end is not None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await end()


def _outcome(pump: asyncio.Task[None]) -> None:
    try:
        pump.result()
    except asyncio.CancelledError:  # nobody cancelled it: some libraries raise this by themselves
        raise RuntimeError("cancelled from inside") from None


async def _release(pump: asyncio.Task[None]) -> None:
    """End the task, or leave it behind if it will not end."""
    if pump.done():
        return
    pump.cancel()
    await asyncio.wait({pump}, timeout=CLOSE_TIMEOUT)
    if not pump.done():
        logger.error("a chatbot does not end when it is told to")
    pump.add_done_callback(_forget)


def _forget(pump: asyncio.Task[None]) -> None:
    """Look at how it ended, so that nobody is told that nobody did."""
    if not pump.cancelled():
        pump.exception()
