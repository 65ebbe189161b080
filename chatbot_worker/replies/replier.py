"""What one chatbot needs for its replies: its window of a session, its circuit, the text as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import structlog

from chatbot_worker.catalogue.definitions import Definition
from chatbot_worker.chatbots.prompt import Speaker, estimate, summing_up
from chatbot_worker.chatbots.protocol import Resident, Tokenizer, Turn
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies.chatbot_run import Run, close
from chatbot_worker.replies.delta_batcher import Gusts
from chatbot_worker.replies.finishing import ChatbotFailed, log_failure
from chatbot_worker.replies.reply_stream import InstantReply, LiveReply
from chatbot_worker.rules.circuit_breaker import Circuit
from chatbot_worker.rules.reply_text import ReplyText
from chatbot_worker.rules.window import left_behind, window, worth_a_summary
from shared.contracts import ids
from shared.contracts.turns import SUMMARY_MAX, ContextMessage, RunTurn

logger = structlog.get_logger(__name__)

CLOSE_TIMEOUT = 2.0  # seconds that a chatbot may take to free what it holds


class Replier:
    """Has one chatbot write, as one version of the catalogue defines it. Knows nothing of queues and acks."""

    def __init__(self, definition: Definition, *, gusts: Gusts, partitions: int, metrics: ChatbotMetrics) -> None:
        self.definition = definition
        circuit = definition.entry.circuit
        self.circuit = Circuit(circuit.failures, circuit.pause, time.monotonic)
        self._metrics = metrics
        self._gusts = gusts
        self._partitions = partitions
        chatbot = definition.chatbot
        self._count = chatbot.count_tokens if isinstance(chatbot, Tokenizer) else estimate
        self._engaged = 0
        self._free = asyncio.Event()
        self._free.set()
        self._closed = False

    @contextmanager
    def engaged(self) -> Iterator[None]:
        """Keep the chatbot from being closed meanwhile."""
        self._engaged += 1
        self._free.clear()
        try:
            yield
        finally:
            self._engaged -= 1
            if not self._engaged:
                self._free.set()

    async def open(self) -> None:
        """Let the chatbot prepare; what goes wrong shows in its turns."""
        if isinstance(self.definition.chatbot, Resident):
            try:
                with self.engaged():
                    await self.definition.chatbot.open()
            except Exception as error:  # noqa: BLE001 - a chatbot may raise what it likes
                log_failure(error, chatbot=self.definition.id)

    async def close(self, patience: float | None = None) -> None:
        """Let the chatbot free what it holds, once nobody is engaged with it any more, or after `patience` seconds."""
        if self._closed or not isinstance(self.definition.chatbot, Resident):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._free.wait()
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.definition.chatbot.close()
        except Exception as error:  # noqa: BLE001 - a chatbot may raise what it likes
            log_failure(error, chatbot=self.definition.id)

    def live(self, turn: RunTurn, attempt: int) -> LiveReply:
        """The text of an attempt that begins."""
        return LiveReply(
            self._gusts, turn, attempt=attempt, partition=self._partition(turn), interval=self.definition.delta_interval
        )

    def instant(self, turn: RunTurn, attempt: int) -> InstantReply:
        """The same of one without pauses."""
        return InstantReply(
            self._gusts, turn, attempt=attempt, partition=self._partition(turn), interval=self.definition.delta_interval
        )

    async def write(self, turn: RunTurn, live: LiveReply, end: float, notice: str = "") -> None:
        """Run the chatbot once, within its limits and until `end` (of the loop's time), and judge how it did.

        A `notice` stands before what it writes, if it writes anything.

        Raises:
            ChatbotFailed: it broke, or took too long.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        run: Run | None = None
        judged = self.circuit.undecided
        try:
            run = Run(_after(notice, self.pieces(turn)) if notice else self.pieces(turn), live)
            await run.write(self.definition.limits, end)
            judged = self.circuit.succeeded
        except Exception as error:  # noqa: BLE001 - a chatbot may raise what it likes
            log_failure(error, chatbot=self.definition.id, message_id=str(turn.message_id))
            self._metrics.failures.inc()
            failed = ChatbotFailed.by(error)
            if not failed.refused and (failed.again or not live.text.length):
                judged = self.circuit.failed
            raise failed from None
        finally:
            live.close()
            judged()
            self._metrics.circuit.set(self.circuit.open)
            self._metrics.duration.observe(loop.time() - began)
            if run is not None and run.first_after is not None:
                self._metrics.first_token.observe(run.first_after)

    def pieces(self, turn: RunTurn) -> AsyncIterator[str]:
        """What the chatbot writes to as much of the turn as it is to see."""
        shown = self._shown(turn)
        summary = "" if turn.summary is None else turn.summary.text
        if len(shown) < len(turn.context):
            self._tell_left_out(turn, shown)
        return self.definition.chatbot.reply(Turn(turn.session_id, turn.message_id, turn.chatbot_id, shown, summary))

    def _tell_left_out(self, turn: RunTurn, shown: Sequence[ContextMessage]) -> None:
        """What the chatbot learns of neither word by word nor from the summary."""
        told = -1 if turn.summary is None else turn.summary.up_to_seq
        seen = {message.id for message in shown}
        left_out = sum(message.id not in seen and message.seq > told for message in turn.context)
        self._metrics.left_out.inc(left_out)
        logger.info(
            "context left out",
            chatbot=self.definition.id,
            messages=left_out,
            summed_up=len(turn.context) - len(shown) - left_out,
            shown=len(shown),
        )

    def left_behind(self, turn: RunTurn) -> tuple[ContextMessage, ...]:
        """What a summary should tell of after this turn; nothing as long as it is not worth one."""
        if not turn.as_of or not self.definition.card.context.summary:
            return ()
        found = left_behind(turn, self._shown(turn))
        return found if worth_a_summary(found, self.definition.bounds) else ()

    async def sum_up(self, turn: RunTurn, messages: Sequence[ContextMessage]) -> str:
        """What the chatbot makes of the turn's summary and these messages.

        Raises:
            Exception: whatever it raises; `TimeoutError` if it takes longer than a reply may.
        """
        assert isinstance(self.definition.chatbot, Speaker)  # the catalogue saw to it
        text = ReplyText(SUMMARY_MAX)
        asked = summing_up("" if turn.summary is None else turn.summary.text, messages)
        pieces = self.definition.chatbot.speak(asked)
        with self.engaged():
            try:
                async with asyncio.timeout(self.definition.limits.total):
                    async for piece in pieces:
                        text.add(piece)
                        if text.full:
                            break
            finally:
                await close(pieces)
        return text.content.strip()

    def _shown(self, turn: RunTurn) -> tuple[ContextMessage, ...]:
        bounds = self.definition.bounds
        if turn.summary is not None and bounds.tokens is not None:
            bounds = replace(bounds, tokens=bounds.tokens - self._count(turn.summary.text))
        return window(turn.context, bounds, self._count)

    def _partition(self, turn: RunTurn) -> int:
        return ids.partition(turn.session_id, self._partitions)


async def _after(notice: str, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """The pieces, and before the first text among them the notice."""
    try:
        async for piece in pieces:
            yield notice + piece if piece else ""
            notice = notice if not piece else ""
    finally:
        await close(pieces)
