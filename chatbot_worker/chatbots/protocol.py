"""The interface of a chatbot, which turns a `Turn` into pieces of text, and of a kind of chatbot.

Packages of other authors import from here; these names are public (`docs/how-to/write-a-chatbot.md`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self, runtime_checkable
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.contracts.events import ContextWanted
from shared.contracts.turns import ContextMessage
from shared.contracts.views import ErrorView


@dataclass(frozen=True)
class Turn:
    """One turn of a chatbot in a session.

    Everything in it was written by users and other chatbots, or made from what they wrote: it is never an instruction.

    Attributes:
        session_id: of the session.
        message_id: of the reply, the same for each try.
        chatbot_id: of the chatbot that answers.
        context: the messages that the chatbot asked for, oldest first; the reply answers the `unanswered` ones.
        summary: of earlier messages, where the catalogue asks for one and there is one; else empty.
    """

    session_id: UUID
    message_id: UUID
    chatbot_id: str
    context: tuple[ContextMessage, ...]
    summary: str = ""

    @cached_property
    def unanswered(self) -> tuple[ContextMessage, ...]:
        """The messages to answer, oldest first."""
        return tuple(message for message in self.context if message.unanswered)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The ids of the users in the context, in order of appearance."""
        return tuple(dict.fromkeys(m.sender_id for m in self.context if m.sender_type == "user"))

    def said(self, message: ContextMessage) -> str:
        """Return a message's text, with its author's id before it where the author would be unclear.

        That is the case for other chatbots, and for users where there are several.
        """
        own = message.sender_type == "chatbot" and message.sender_id == self.chatbot_id
        if own or (message.sender_type == "user" and len(self.speakers) < 2):
            return message.content
        return f"{message.sender_id}: {message.content}"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what a model writes before or between its answer. It is no part of the message's content."""

    text: str


@dataclass(frozen=True, slots=True)
class Correction:
    """Replaces everything that the reply has yielded so far, because some of it was reasoning, or none of it was."""

    content: str
    reasoning: str


Piece = str | Reasoning | Correction
_progress: ContextVar[Callable[[], None] | None] = ContextVar("progress", default=None)


def report_progress() -> None:
    """Restart the time limits of the reply under way, without a piece: what it runs on has shown a sign of life."""
    if (report := _progress.get()) is not None:
        report()


def on_progress(report: Callable[[], None]) -> None:
    """Let `report_progress` call this, in the current task."""
    _progress.set(report)


class CompleteReply:
    """The pieces of a reply that is complete at once: nothing of it is streamed, and no task runs for it."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self.pieces = list(pieces)
        self._next = 0  # piece

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._next == len(self.pieces):
            raise StopAsyncIteration
        self._next += 1
        return self.pieces[self._next - 1]


class Chatbot(Protocol):
    """Writes replies. One object serves all turns of one catalogue entry, many at the same time."""

    def reply(self, turn: Turn) -> AsyncIterator[Piece]:
        """Yield the reply piece by piece (an `async def` with `yield`), or return a `CompleteReply`.

        It ends with `LengthReached` if a limit has cut it, and with `Silence` if it is meant to be empty. Any other
        exception fails this try; only the worker decides on another one. When a user stops the reply or a limit ends
        it, the iterator is closed (`aclose`) and may be cancelled at any await: it must then free its resources within
        half a second. It must never hold the event loop for more than 50 ms.
        """


@runtime_checkable
class Resident(Protocol):
    """A chatbot that holds a resource while it is in the catalogue: a client, a process, an index."""

    async def open(self) -> None:
        """Acquire the resource. Turns do not wait for it, and an exception is only logged."""

    async def close(self) -> None:
        """Free the resource. Called once, after the chatbot's last turn."""


@runtime_checkable
class Tokenizer(Protocol):
    """A chatbot that counts its own tokens. For others the worker estimates them."""

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in a text, without I/O."""


@runtime_checkable
class Bounded(Protocol):
    """A chatbot that knows the size of its context. The catalogue may allow it less."""

    @property
    def context_tokens(self) -> int | None:
        """Tokens of messages that fit into its context; none if it does not know."""


class ReplyError(Exception):
    """Raised by a chatbot that knows why it failed. The reason is logged, so it must not quote users.

    Args:
        reason: what happened, as in `"status 429"`.
        retryable: whether another try of the same turn may succeed.
        retry_after: seconds that the provider asks to wait.
        view: code and message for the readers of the reply; none for the worker's own.
        refused: whether this very turn is refused; the opposite of `retryable` unless given. A refused turn does not
            count against the chatbot's circuit breaker. A failure that is neither retryable nor refused, such as a
            wrong key, does, and the fallback answers.
        again: the former name of `retryable`, accepted from packages that were written for it.
    """

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
        view: ErrorView | None = None,
        refused: bool | None = None,
        again: bool | None = None,
    ) -> None:
        self.reason = reason
        self.retryable = retryable if again is None else again
        self.refused = not self.retryable if refused is None else refused
        self.retry_after = retry_after
        self.view = view
        super().__init__(reason)


class LengthReached(Exception):
    """Raised by a chatbot at the end of a reply that a limit of the model has cut: the text so far is the reply."""


class Silence(Exception):
    """Raised by a chatbot that has decided to say nothing."""


class Unusable(ValueError):
    """A chatbot cannot be created here: a file, a secret or a package is missing. The message says it in one line."""


class Options(BaseModel):
    """The base of a kind's options. An unknown option is an error in the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chatbot.

    Attributes:
        options: the model of the options in its catalogue entries.
        make: creates a chatbot from validated options. It does no I/O beyond looking at files, and raises `Unusable`;
            what takes longer belongs into `Resident.open`.
        immediate: it needs nothing from outside and answers at once, so its turns travel in batches.
        context: the messages that its turns contain, unless the entry says otherwise.
        concurrency: turns at the same time in one worker, unless the entry says otherwise.
    """

    options: type[Options]
    make: Callable[[Any], Chatbot]
    immediate: bool
    context: ContextWanted
    concurrency: int
