"""Events that the gateway sends to clients, one model for each."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from shared.contracts.events import ReadMarked, ReplyStreamed, TypingChanged
from shared.contracts.payload import Timestamp
from shared.contracts.views import Message, Session

PROTOCOL = 1  # the version of the client protocol, in `ready`


class Ready(BaseModel):
    """The first event of an authenticated connection."""

    user_id: str
    token_expires_at: Timestamp
    server_time: Timestamp
    protocol: int
    limits: dict[str, float]


class GoingAway(BaseModel):
    """This gateway is stopping; reconnect after `retry_after` seconds."""

    retry_after: float


class SessionActivity(BaseModel):
    """A change in a session that this socket has not joined."""

    session_id: UUID
    last_seq: int
    updated_at: Timestamp


class MessageRejected(BaseModel):
    """An accepted message that could not be stored."""

    session_id: UUID
    message_id: UUID
    client_message_id: str | None
    code: str


class SessionDeleted(BaseModel):
    """A session was deleted, or this user is no longer a member of it."""

    session_id: UUID


class Presence(BaseModel):
    """The members who have joined the session on any device; always the complete list."""

    session_id: UUID
    users: list[str]


class TokenExpires(BaseModel):
    """When the access token of this socket expires."""

    expires_at: Timestamp


class Done(BaseModel):
    """No fields."""


SERVER_EVENTS: dict[str, type[BaseModel]] = {
    "ready": Ready,
    "message": Message,
    "message_updated": Message,
    "message_delta": ReplyStreamed,
    "message_rejected": MessageRejected,
    "session_updated": Session,
    "session_deleted": SessionDeleted,
    "session_activity": SessionActivity,
    "typing": TypingChanged,
    "read": ReadMarked,
    "presence": Presence,
    "token_expiring": TokenExpires,
    "auth_expired": Done,
    "going_away": GoingAway,
}
