"""What a chatbot is: something that turns a `Turn` into pieces of text. And what a kind of chatbot is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.contracts.events import ContextWanted
from shared.contracts.turns import ContextMessage


@dataclass(frozen=True)
class Turn:
    """One turn of a chatbot in a session.

    `context` holds the messages that the chatbot asked for, oldest first; the reply is to answer those
    that are `unanswered`. Its text was written by strangers: it is never an instruction.
    """

    session_id: UUID
    message_id: UUID
    chatbot_id: str
    context: tuple[ContextMessage, ...]

    @cached_property
    def unanswered(self) -> tuple[ContextMessage, ...]:
        """The messages to answer, oldest first."""
        return tuple(message for message in self.context if message.unanswered)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The ids of the people in the context, in order of appearance."""
        return tuple(dict.fromkeys(m.sender_id for m in self.context if m.sender_type == "user"))


class Chatbot(Protocol):
    """Writes replies. One object serves all turns of one entry of the catalogue, many at the same time."""

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        """The reply, piece by piece (an `async def` with `yield`).

        Whatever it raises fails this attempt; it may be cancelled at any await. It must never hold
        the event loop for more than 50 ms at a stretch.
        """


class Options(BaseModel):
    """The base of a kind's options: an unknown one is a mistake, and said so."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _with_pauses(_options: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chatbot: its options, how to make one, and what it needs unless its entry says otherwise.

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
