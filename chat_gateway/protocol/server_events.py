"""Events that the gateway sends to clients, one model for each."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from shared.contracts.events import ReadMarked, ReasoningStreamed, ReplyStreamed, TypingChanged
from shared.contracts.payload import Model, Timestamp
from shared.contracts.views import Message, Session

PROTOCOL = 1  # the version of the client protocol, in `ready`


class Ready(Model):
    """The first event of an authenticated connection."""

    user_id: Annotated[str, Meta(description="The authenticated user")]
    token_expires_at: Annotated[Timestamp, Meta(description="When the access token expires")]
    server_time: Annotated[Timestamp, Meta(description="Time of the server")]
    protocol: Annotated[int, Meta(description="Version of the protocol")]
    limits: Annotated[
        dict[str, float], Meta(description="`content`, `frame`, `events_per_second`, `burst`, `users`, `chatbots`")
    ]


class GoingAway(Model):
    """This gateway is stopping; reconnect after `retry_after` seconds."""

    retry_after: Annotated[float, Meta(description="Seconds to wait before reconnecting")]


class SessionActivity(Model):
    """A change in a session that this socket has not joined."""

    session_id: Annotated[UUID, Meta(description="The session")]
    last_seq: Annotated[int, Meta(description="Its newest number")]
    updated_at: Annotated[Timestamp, Meta(description="When it last changed")]


class MessageRejected(Model):
    """An accepted message that could not be stored."""

    session_id: Annotated[UUID, Meta(description="The session")]
    message_id: Annotated[UUID, Meta(description="The id from the ack")]
    client_message_id: Annotated[str | None, Meta(description="The id that the client chose")]
    code: Annotated[str, Meta(description="`not_found` or `internal`")]


class SessionDeleted(Model):
    """A session was deleted, or this user is no longer a member of it."""

    session_id: Annotated[UUID, Meta(description="The session")]


class Presence(Model):
    """The members who have joined the session on any device; always the complete list."""

    session_id: Annotated[UUID, Meta(description="The session")]
    users: Annotated[list[str], Meta(description="Ids of the members who have joined on any device; the complete list")]


class TokenExpires(Model):
    """When the access token of this socket expires."""

    expires_at: Annotated[Timestamp, Meta(description="When the access token of this socket expires")]


class Done(Model):
    """No fields."""


SERVER_EVENTS: dict[str, type[Model]] = {
    "ready": Ready,
    "message": Message,
    "message_updated": Message,
    "message_delta": ReplyStreamed,
    "reasoning_delta": ReasoningStreamed,
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
