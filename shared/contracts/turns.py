"""Turns: what a chatbot worker is asked to answer."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared.contracts.payload import Model, Payload
from shared.contracts.views import SenderType

CONTEXT_BYTES_MAX = 128 * 1024
SUMMARY_MAX = 4_000  # code points


class ContextMessage(Model):
    """One message of a turn's context. `unanswered`: the reply is to answer it. `seq` 0: an earlier release sent it."""

    id: UUID
    sender_type: SenderType
    sender_id: str
    content: str
    unanswered: bool
    seq: int = 0


class Summary(Model):
    """What a language model made of a session's messages up to a place, for one chatbot. As untrusted as they are."""

    up_to_seq: int
    text: str


class RunTurn(Payload):
    """Answer the unanswered messages of `context` (ascending by `seq`) under `message_id`.

    `starts` is how often the turn was published before; `again` says that it may have run or ended
    already, so a worker asks (`IsTurnOpen`) before it starts. `summary` is of what lies further back, where
    the chatbot asked for one; `as_of` is the session's newest number when all this was read, 0 where no further
    summary is wanted.
    """

    TYPE: ClassVar[str] = "backchat.turn.run.v1"

    session_id: UUID
    message_id: UUID
    chatbot_id: str
    reply_to: UUID
    starts: int
    again: bool
    context: list[ContextMessage]
    as_of: int = 0
    summary: Summary | None = None


class StopTurn(Payload):
    """Stop a running turn: told to every chatbot worker at once, over `chat.control`."""

    TYPE: ClassVar[str] = "backchat.turn.stop.v1"

    session_id: UUID
    message_id: UUID


TURNS: tuple[type[Payload], ...] = (RunTurn, StopTurn)
