"""One try of a chatbot at a turn: asks for the reply, collects its text, and counts the outcome."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from chatbot_worker.chatbots.protocol import CompleteReply, Correction, LengthReached, Piece, Reasoning, Silence
from chatbot_worker.replies.chatbot_run import ChatbotRun, close
from chatbot_worker.replies.finishing import ChatbotFailed, log_failure
from chatbot_worker.rules.errors import EMPTY_REPLY, LENGTH, LENGTH_BEFORE_TEXT, TOO_LONG
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView

if TYPE_CHECKING:
    from chatbot_worker.replies.replier import Replier


class Attempt:
    """A try that its chatbot's circuit breaker has admitted. Call `start`, and `finish` unless the reply is ready.

    Args:
        replier: of the chatbot.
        turn: to answer.
        number: the `attempt` of its deltas and of the finished reply.
        deadline: loop time at which the reply must have ended, all tries included.
        notice: stands before what the chatbot writes, if it writes anything.
    """

    def __init__(self, replier: Replier, turn: RunTurn, number: int, *, deadline: float, notice: str = "") -> None:
        self.number = number
        self.deadline = deadline
        self.ready = False  # the reply is complete
        self._length_reached = False  # a limit of the chatbot has cut it
        self._silent = False  # the chatbot has decided to say nothing
        self.stream = replier.stream(turn, number)
        self._replier = replier
        self._turn = turn
        self._notice = notice
        self._started_at = time.monotonic()
        self._pieces: AsyncIterator[Piece] | None = None  # of a reply that is not ready
        self._failure: ChatbotFailed | None = None
        self._ended = False

    @property
    def fault(self) -> ErrorView | None:
        """The error of a reply whose chatbot has not failed: too long, cut by its own limit, or empty."""
        text = self.stream.text
        if text.full:
            return TOO_LONG
        if self._length_reached:
            return LENGTH if text.length else LENGTH_BEFORE_TEXT
        return None if text.length or self._silent else EMPTY_REPLY

    def start(self) -> None:
        """Ask the chatbot for the reply, which may be `ready` then. Errors are raised by `finish`."""
        try:
            reply = self._replier.ask(self._turn)
            if not isinstance(reply, CompleteReply):
                self._pieces = _with_notice(self._notice, reply) if self._notice else reply
                return
            self._add_all(reply.pieces)
        except Exception as error:  # noqa: BLE001 - a chatbot may raise anything
            self._failure = self._fail(error)
        else:
            self.ready = True
            self._end(self._replier.circuit.succeeded)

    async def finish(self) -> None:
        """Read the reply until it is complete, within the chatbot's limits.

        Raises:
            ChatbotFailed: the chatbot failed, or took too long.
        """
        if self._failure is not None:
            raise self._failure
        assert self._pieces is not None
        run = ChatbotRun(self._pieces, self.stream)
        try:
            await run.write(self._replier.definition.limits, self.deadline)
        except LengthReached:
            self._length_reached = True
            self._end(self._replier.circuit.succeeded)
        except Silence:
            self._silent = True
            self._end(self._replier.circuit.succeeded)
        except Exception as error:  # noqa: BLE001 - a chatbot may raise anything
            raise self._fail(error) from None
        else:
            self._end(self._replier.circuit.succeeded)
        finally:
            self.abandon()
            if run.first_text_after is not None:
                self._replier.metrics.first_token.observe(run.first_text_after)

    def abandon(self) -> None:
        """End the try without an outcome, unless it has ended."""
        if not self._ended:
            self._end(self._replier.circuit.undecided)

    def _add_all(self, pieces: Sequence[str]) -> None:
        if self._notice and any(pieces):
            self.stream.add(self._notice)
        for piece in pieces if self.stream.unpaced else ("".join(pieces),):
            self.stream.add(piece)
            if self.stream.text.full:
                return

    def _fail(self, error: Exception) -> ChatbotFailed:
        log_failure(error, chatbot=self._replier.definition.id, message_id=str(self._turn.message_id))
        self._replier.metrics.failures.inc()
        failed = ChatbotFailed.from_error(error)
        counts = not failed.refused and (failed.retryable or not self.stream.text.length)
        self._end(self._replier.circuit.failed if counts else self._replier.circuit.undecided)
        return failed

    def _end(self, report: Callable[[], None]) -> None:
        self._ended = True
        self.stream.close()
        report()
        self._replier.show_circuit()
        self._replier.metrics.duration.observe(time.monotonic() - self._started_at)


async def _with_notice(notice: str, pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """Yield the pieces, the first text among them with the notice before it."""
    before = notice
    try:
        async for piece in pieces:
            if isinstance(piece, Reasoning):
                yield piece
            elif isinstance(piece, Correction):
                yield Correction(notice + piece.content if piece.content else "", piece.reasoning)
                before = "" if piece.content else notice
            elif piece:
                yield before + piece
                before = ""
    finally:
        await close(pieces)
