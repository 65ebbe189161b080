"""Assembles one reply from the events of a stream of chat completions, and judges how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chatbot_worker.chatbots.protocol import Piece, ReplyError
from chatbot_worker.kinds.wire import endings, failures
from chatbot_worker.kinds.wire.chunks import Chunk, Speech, is_done, read_chunk
from chatbot_worker.kinds.wire.json_text import NotJson, loads
from chatbot_worker.kinds.wire.refusals import ContextOverflow, describe, judge
from chatbot_worker.kinds.wire.thinking import Splitter

AFTER_EMPTY_LAST = 2.0  # seconds to wait for more after a chunk that has a reason to finish and no text
AFTER_LAST = 10.0  # the same after a chunk with text: some endpoints give a reason in each chunk


class EmptyStream(ReplyError):
    """A stream ended without one event. llama-cpp-python answers so to a prompt that is too long."""

    def __init__(self) -> None:
        super().__init__("no event in the stream", view=failures.INTERRUPTED)


@dataclass(slots=True)
class Habits:
    """Properties of an endpoint, as far as known from its earlier replies.

    Attributes:
        gives_reasons: it sends `finish_reason`.
        opens_block: its replies begin with reasoning, whose opening tag is in the prompt.
    """

    gives_reasons: bool = False
    opens_block: bool = False


class Assembly:
    """One reply. `take` each event, until `done` or the end of the stream; then `end`, then `check`."""

    def __init__(self, habits: Habits) -> None:
        self.done = False
        self._habits = habits
        self._splitter = Splitter(opened=habits.opens_block)
        self._assumed = habits.opens_block
        self._reason = ""
        self._last_had_text = False
        self._events = 0
        self._has_reason = False
        self._whole = False  # the body was one completion, no stream
        self._parts: list[str] = []  # of the text, before it was split
        self._length = 0  # of all parts
        self._deltas = False  # the text came, at least in part, in deltas
        self._reasoned = False

    @property
    def patience(self) -> float | None:
        """Seconds to wait for another event; none: without an end."""
        if not self._reason:
            return None
        return AFTER_LAST if self._last_had_text else AFTER_EMPTY_LAST

    @property
    def finished(self) -> bool:
        """Whether a reason to finish has come, so that a connection that breaks breaks nothing off."""
        return bool(self._reason)

    def take(self, event: str, data: str) -> Iterator[Piece]:
        """Yield what an event adds to the reply.

        Raises:
            ReplyError: the event is an error, or not readable.
        """
        if not data.strip() and event != "error":
            return
        self._events += 1
        if event == "error":
            raise self._error_event(data)
        if is_done(data):
            self.done = True
            return
        try:
            yield from self._take_chunk(read_chunk(data))
        except ReplyError as error:
            lines = data.splitlines()
            if len(lines) < 2 or not isinstance(error, NotJson):
                raise self._in_stream(error) from None
            for line in lines:  # events that only one end of line separates
                yield from self.take(event, line)

    def take_whole(self, data: bytes) -> Iterator[Piece]:
        """Yield the reply of a body that is no stream: one completion, or one object on each line.

        Raises:
            ReplyError: the body is an error, or no completion.
        """
        self._events += 1
        try:
            chunk = read_chunk(data)
        except NotJson:
            lines = data.splitlines()
            if len(lines) < 2:
                raise
            for line in lines:
                yield from self.take("message", line.decode(errors="replace"))
            return
        if not chunk.has_choices:
            raise failures.broken("no completion")
        self._whole = True
        yield from self._take_chunk(chunk)

    def end(self) -> list[Piece]:
        """Return what has been held back."""
        pieces = self._splitter.end(cut=bool(self._reason) and self._reason not in endings.FINISHED)
        if self._splitter.closed_alone:
            self._habits.opens_block = True
        elif self._assumed and self._reason in endings.FINISHED:
            self._habits.opens_block = False
        self._habits.gives_reasons |= bool(self._reason)
        return pieces

    def check(self) -> None:
        """Return if the reply is finished.

        Raises:
            EmptyStream: there was no event.
            LengthReached: the model reached its limit.
            ReplyError: the reply ended in any other way.
        """
        if self._reason:
            endings.check(self._reason)
        elif self._whole:
            return
        elif not self._events:
            raise EmptyStream
        elif not self.done or self._has_reason or self._habits.gives_reasons or not self._parts:
            raise failures.interrupted("ended without a reason to finish")

    def _take_chunk(self, chunk: Chunk) -> Iterator[Piece]:
        self._has_reason |= chunk.has_reason
        text, reasoning = self._new_in(chunk)
        if reasoning:
            self._reasoned = True
            yield from self._splitter.add_reasoning(reasoning)
        if text:
            self._parts.append(text)
            self._length += len(text)
            yield from self._splitter.feed(text)
        if chunk.reason:
            self._reason = endings.weightier(self._reason, chunk.reason)
        self._last_had_text = bool(text)

    def _new_in(self, chunk: Chunk) -> Speech:
        """Return what a chunk adds. A `message` adds only the part behind the text so far."""
        delta, message = chunk.delta, chunk.message
        reasoning = delta.reasoning or ("" if self._reasoned else message.reasoning)
        if delta.text:
            self._deltas = True
            return Speech(delta.text, reasoning)
        if not message.text:
            return Speech("", reasoning)
        if len(message.text) >= self._length and message.text.startswith("".join(self._parts)):
            return Speech(message.text[self._length :], reasoning)
        return Speech("" if self._deltas else message.text, reasoning)

    def _error_event(self, data: str) -> ReplyError:
        try:
            found = loads(data)
        except NotJson:
            found = data
        return self._in_stream(judge(describe(found)))

    def _in_stream(self, error: ReplyError) -> ReplyError:
        """Return an error as it is after text or reasoning: the prompt was read, so it was not refused."""
        if isinstance(error, ContextOverflow) and (self._parts or self._reasoned):
            return failures.interrupted(error.reason)
        if not self._parts or error.view in (failures.FILTERED, failures.BROKEN):
            return error
        return failures.broken(error.reason)
