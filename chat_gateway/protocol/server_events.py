"""Events that the gateway sends to clients, one model for each."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.events import ReadMarked, ReplyStreamed, TypingChanged
from shared.contracts.payload import Timestamp
from shared.contracts.views import Message, Session

PROTOCOL = 1  # the version of the client protocol, in `ready`


class Ready(BaseModel):
    """The first event of an authenticated connection."""

    user_id: str = Field(description="The authenticated user")
    token_expires_at: Timestamp = Field(description="When the access token expires")
    server_time: Timestamp = Field(description="Time of the server")
    protocol: int = Field(description="Version of the protocol")
    limits: dict[str, float] = Field(
        description="`content`, `frame`, `events_per_second`, `burst`, `users`, `chatbots`"
    )


class GoingAway(BaseModel):
    """This gateway is stopping; reconnect after `retry_after` seconds."""

    retry_after: float = Field(description="Seconds to wait before reconnecting")


class SessionActivity(BaseModel):
    """A change in a session that this socket has not joined."""

    session_id: UUID = Field(description="The session")
    last_seq: int = Field(description="Its newest number")
    updated_at: Timestamp = Field(description="When it last changed")


class MessageRejected(BaseModel):
    """An accepted message that could not be stored."""

    session_id: UUID = Field(description="The session")
    message_id: UUID = Field(description="The id from the ack")
    client_message_id: str | None = Field(description="The id that the client chose")
    code: str = Field(description="`not_found` or `internal`")


class SessionDeleted(BaseModel):
    """A session was deleted, or this user is no longer a member of it."""

    session_id: UUID = Field(description="The session")


class Presence(BaseModel):
    """The members who have joined the session on any device; always the complete list."""

    session_id: UUID = Field(description="The session")
    users: list[str] = Field(description="Ids of the members who have joined on any device; the complete list")


class TokenExpires(BaseModel):
    """When the access token of this socket expires."""

    expires_at: Timestamp = Field(description="When the access token of this socket expires")


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
