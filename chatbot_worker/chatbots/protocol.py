"""What a chatbot is: something that turns a `Turn` into pieces of text. And what a kind of chatbot is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.contracts.events import ContextWanted
from shared.contracts.turns import ContextMessage
from shared.contracts.views import ErrorView


@dataclass(frozen=True)
class Turn:
    """One turn of a chatbot in a session.

    `context` holds the messages that the chatbot asked for, oldest first; the reply is to answer those
    that are `unanswered`. `summary` tells of what lies further back, where the catalogue wants it and there is one.
    All of it was written by strangers, or made of what they wrote: it is never an instruction.
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
        """The ids of the people in the context, in order of appearance."""
        return tuple(dict.fromkeys(m.sender_id for m in self.context if m.sender_type == "user"))

    def said(self, message: ContextMessage) -> str:
        """A message's text, after its speaker's id where a reader could not tell whose it is.

        So for what other chatbots said, and for people where there are several.
        """
        own = message.sender_type == "chatbot" and message.sender_id == self.chatbot_id
        if own or (message.sender_type == "user" and len(self.speakers) < 2):
            return message.content
        return f"{message.sender_id}: {message.content}"


class Chatbot(Protocol):
    """Writes replies. One object serves all turns of one entry of the catalogue, many at the same time."""

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        """The reply, piece by piece (an `async def` with `yield`).

        Whatever it raises fails this attempt, and the worker alone decides on another one. It is closed
        (`aclose`), and may be cancelled at any await, when somebody stops the reply or a limit ends it:
        then it closes what it has open, within half a second. It must never hold the event loop for
        more than 50 ms at a stretch.
        """


@runtime_checkable
class Resident(Protocol):
    """A chatbot that holds something while it is in the catalogue: a client, a process, an index."""

    async def open(self) -> None:
        """Prepare; turns do not wait for it, and what it raises is only logged."""

    async def close(self) -> None:
        """Free everything; called once, when its last turn has ended."""


@runtime_checkable
class Tokenizer(Protocol):
    """A chatbot that counts its own tokens; for others the worker estimates them."""

    def count_tokens(self, text: str) -> int:
        """The tokens of a text, quickly."""


@runtime_checkable
class Bounded(Protocol):
    """A chatbot that knows how much it can be told; the catalogue may allow it less."""

    @property
    def context_tokens(self) -> int | None:
        """Tokens of what people said; none: it does not know."""


class ReplyError(Exception):
    """What a chatbot raises when it knows more about its failure. The message is logged: it quotes nobody.

    Args:
        reason: what happened, as in `"status 429"`.
        again: whether another try of the same turn may help. False: this very turn is refused, which is
            neither tried again nor held against the provider.
        retry_after: seconds that the provider asks to be left alone, if it does.
        view: the code and the words for the person who waits; none: the worker's own.
    """

    def __init__(
        self, reason: str, *, again: bool = True, retry_after: float | None = None, view: ErrorView | None = None
    ) -> None:
        self.reason = reason
        self.again = again
        self.retry_after = retry_after
        self.view = view
        super().__init__(reason)


class Unusable(ValueError):
    """A chatbot cannot be made here (a file, a secret or a package is missing); the message says it in one line."""


class Options(BaseModel):
    """The base of a kind's options: an unknown one is a mistake, and said so."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _with_pauses(_options: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chatbot: its options, how to make one, and what it needs unless its entry says otherwise.

    `make` does no I/O beyond a look at files and raises `Unusable`; what takes longer waits for `open`.
    `immediate`: it needs nothing from outside, so its turns may travel in batches. `instant` tells of
    options whether replies come without any pause: then there is no typing and no timer, and `reply`
    never waits. `concurrency` is the turns at once.
    """

    options: type[Options]
    make: Callable[[Any], Chatbot]
    immediate: bool
    context: ContextWanted
    concurrency: int
    instant: Callable[[Any], bool] = _with_pauses
