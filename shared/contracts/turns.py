"""Turns: requests to a chatbot worker to write a reply."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared.contracts.payload import Model, Payload
from shared.contracts.views import SenderType

CONTEXT_BYTES_MAX = 128 * 1024
SUMMARY_MAX = 4_000  # code points


class ContextMessage(Model):
    """A message in the context of a turn. `unanswered`: the reply must answer it. `seq` 0: sent by an older release."""

    id: UUID
    sender_type: SenderType
    sender_id: str
    content: str
    unanswered: bool
    seq: int = 0


class Summary(Model):
    """A language model's summary of the messages up to `up_to_seq`, for one chatbot. Untrusted like the messages."""

    up_to_seq: int
    text: str


class RunTurn(Payload):
    """Answer the unanswered messages of `context` (ascending by `seq`) with a reply that has the id `message_id`.

    `starts` counts earlier publications of the turn. `again`: the turn was republished and may have been answered, so
    the worker sends `IsTurnOpen` before it starts. `summary` covers earlier messages, if the chatbot requested it.
    `as_of` is the newest number of the session when the context was read; 0 if no new summary is requested.
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
    """Stop a running turn; sent to all chatbot workers through `chat.control`."""

    TYPE: ClassVar[str] = "backchat.turn.stop.v1"

    session_id: UUID
    message_id: UUID


TURNS: tuple[type[Payload], ...] = (RunTurn, StopTurn)
