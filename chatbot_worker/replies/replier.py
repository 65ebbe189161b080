"""Runs one chatbot: its context window, circuit breaker and streams, and the summaries that it makes."""

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
from chatbot_worker.chatbots.protocol import Correction, LengthReached, Piece, Reasoning, Resident, Tokenizer, Turn
from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies.chatbot_run import close
from chatbot_worker.replies.delta_batcher import DeltaBatcher
from chatbot_worker.replies.finishing import log_failure
from chatbot_worker.replies.reply_stream import ReplyStream
from chatbot_worker.rules.circuit_breaker import CircuitBreaker
from chatbot_worker.rules.reply_text import ReplyText
from chatbot_worker.rules.window import outside_window, window, worth_summarizing
from shared.contracts import ids
from shared.contracts.turns import SUMMARY_MAX, ContextMessage, RunTurn

logger = structlog.get_logger(__name__)

CLOSE_TIMEOUT = 2.0  # seconds that a chatbot may take to free its resources


class Replier:
    """Runs one chatbot as one version of the catalogue defines it. Knows nothing of queues and acknowledgements."""

    def __init__(
        self, definition: Definition, *, batcher: DeltaBatcher, partitions: int, metrics: ChatbotMetrics
    ) -> None:
        self.definition = definition
        circuit = definition.entry.circuit
        self.circuit = CircuitBreaker(circuit.failures, circuit.pause, time.monotonic)
        self.metrics = metrics
        self._batcher = batcher
        self._circuit_open = False  # as the metrics show it
        metrics.circuit.set(0)
        self._partitions = partitions
        chatbot = definition.chatbot
        self._count = chatbot.count_tokens if isinstance(chatbot, Tokenizer) else estimate
        self._users = 0  # replies and summaries under way
        self._unused = asyncio.Event()
        self._unused.set()
        self._closed = False

    def begin_use(self) -> None:
        """Keep the chatbot from being closed until `end_use`."""
        self._users += 1
        self._unused.clear()

    def end_use(self) -> None:
        """Let the chatbot be closed, unless something else uses it."""
        self._users -= 1
        if not self._users:
            self._unused.set()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the chatbot from being closed inside the context."""
        self.begin_use()
        try:
            yield
        finally:
            self.end_use()

    async def open(self) -> None:
        """Open a resident chatbot. An error is only logged: its turns fail, if it cannot do without."""
        if isinstance(self.definition.chatbot, Resident):
            try:
                with self.in_use():
                    await self.definition.chatbot.open()
            except Exception as error:  # noqa: BLE001 - a chatbot may raise anything
                log_failure(error, chatbot=self.definition.id)

    async def close(self, patience: float | None = None) -> None:
        """Close a resident chatbot as soon as it is unused, or after `patience` seconds."""
        if self._closed or not isinstance(self.definition.chatbot, Resident):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._unused.wait()
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.definition.chatbot.close()
        except Exception as error:  # noqa: BLE001 - a chatbot may raise anything
            log_failure(error, chatbot=self.definition.id)

    def stream(self, turn: RunTurn, attempt: int) -> ReplyStream:
        """Create the stream of an attempt."""
        partition = ids.partition(turn.session_id, self._partitions)
        interval = self.definition.delta_interval
        return ReplyStream(self._batcher, turn, attempt=attempt, partition=partition, interval=interval)

    def ask(self, turn: RunTurn) -> AsyncIterator[Piece]:
        """Ask the chatbot for its reply to the part of the turn's context that fits into its window."""
        shown = self._window(turn)
        summary = "" if turn.summary is None else turn.summary.text
        if len(shown) < len(turn.context):
            self._report_left_out(turn, shown)
        return self.definition.chatbot.reply(Turn(turn.session_id, turn.message_id, turn.chatbot_id, shown, summary))

    def show_circuit(self) -> None:
        """Update the metric of the circuit breaker."""
        if self._circuit_open is not self.circuit.open:
            self._circuit_open = self.circuit.open
            self.metrics.circuit.set(self._circuit_open)

    def messages_to_summarize(self, turn: RunTurn) -> tuple[ContextMessage, ...]:
        """Return what a summary after this turn should contain; nothing while that is too little."""
        if not turn.as_of or not self.definition.card.context.summary:
            return ()
        messages = outside_window(turn, self._window(turn))
        return messages if worth_summarizing(messages, self.definition.bounds) else ()

    async def summarize(self, turn: RunTurn, messages: Sequence[ContextMessage]) -> str:
        """Let the chatbot merge these messages into the turn's summary; empty if it writes nothing.

        Raises:
            TimeoutError: it takes longer than a reply may.
            Exception: any error of the chatbot.
        """
        assert isinstance(self.definition.chatbot, Speaker)  # the catalogue has checked it
        text = ReplyText(SUMMARY_MAX)
        prompt = summing_up("" if turn.summary is None else turn.summary.text, messages)
        pieces = self.definition.chatbot.speak(prompt)
        with self.in_use():
            try:
                async with asyncio.timeout(self.definition.limits.total):
                    async for piece in pieces:
                        if isinstance(piece, Correction):
                            text.replace(piece.content)
                        elif not isinstance(piece, Reasoning):
                            text.add(piece)
                        if text.full:
                            break
            except LengthReached:
                pass  # notes that a limit has cut are notes
            finally:
                await close(pieces)
        return text.content.strip()

    def _report_left_out(self, turn: RunTurn, shown: Sequence[ContextMessage]) -> None:
        """Count the messages that are neither in the window nor in the summary."""
        summarized_up_to = -1 if turn.summary is None else turn.summary.up_to_seq
        shown_ids = {message.id for message in shown}
        left_out = sum(message.id not in shown_ids and message.seq > summarized_up_to for message in turn.context)
        self.metrics.left_out.inc(left_out)
        logger.info(
            "context.shortened",
            chatbot=self.definition.id,
            left_out=left_out,
            summarized=len(turn.context) - len(shown) - left_out,
            shown=len(shown),
        )

    def _window(self, turn: RunTurn) -> tuple[ContextMessage, ...]:
        bounds = self.definition.bounds
        if turn.summary is not None and bounds.tokens is not None:
            bounds = replace(bounds, tokens=bounds.tokens - self._count(turn.summary.text))
        return window(turn.context, bounds, self._count)
