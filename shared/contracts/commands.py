"""Commands: they change a session and go through its partition of `chat.log`, in order."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared.contracts.payload import Payload, Timestamp
from shared.contracts.views import ErrorView, MessageStatus, ReplyPolicy


class StartSession(Payload):
    """Create a session; its sender waits for a `Reply` whose result is `SessionResult`.

    `chatbot_ids` `None` means the default chatbot. An id that exists already is answered with what it is.
    """

    TYPE: ClassVar[str] = "backchat.session.start.v1"

    session_id: UUID
    user_id: str
    title: str | None
    chatbot_ids: list[str] | None
    reply_policy: ReplyPolicy
    created_at: Timestamp


class SendMessage(Payload):
    """Store a user's message. Nobody waits: a refusal travels as `MessageRejected`."""

    TYPE: ClassVar[str] = "backchat.message.send.v1"

    session_id: UUID
    message_id: UUID
    user_id: str
    content: str
    client_message_id: str | None
    reply_to: UUID | None
    created_at: Timestamp


class FinishReply(Payload):
    """Store a chatbot's reply and end its turn. `message_id` is the turn's."""

    TYPE: ClassVar[str] = "backchat.reply.finish.v1"

    session_id: UUID
    message_id: UUID
    chatbot_id: str
    attempt: int
    content: str
    status: MessageStatus
    error: ErrorView | None
    created_at: Timestamp


COMMANDS: tuple[type[Payload], ...] = (StartSession, SendMessage, FinishReply)
