"""`/asyncapi.json`: the Socket.IO surface and the bus beneath it, from the models that the code runs on."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from chat_gateway.protocol.payloads import CLIENT_EVENTS
from shared import __version__
from shared.contracts.asyncapi import Channel, bus_channels, describe
from shared.contracts.events import ReadMarked, ReplyStreamed, TypingChanged
from shared.contracts.payload import Timestamp
from shared.contracts.queries import (
    ChatbotsResult,
    HistoryResult,
    RegenerateResult,
    SearchResult,
    SessionResult,
    SessionsResult,
)
from shared.contracts.views import Message, OwnSession, Session

DESCRIPTION = (
    "Clients speak Socket.IO v5 on namespace `/` below `/socket.io/`, with `auth: {token}`. Every client event takes "
    'one JSON object and is acked with `{"ok": true, …}` (`x-ack` tells the rest) or `{"ok": false, "error": {"code", '
    '"message", "retry_after"?}}`. What follows the channels of clients is the bus between the services.'
)


class Ready(BaseModel):
    """The first event of a connection."""

    user_id: str
    token_expires_at: Timestamp
    server_time: Timestamp
    protocol: int
    limits: dict[str, float]


class GoingAway(BaseModel):
    """This gateway stops; come back after so many seconds."""

    retry_after: float


class SessionActivity(BaseModel):
    """Something new in a session that this socket has not joined."""

    session_id: UUID
    last_seq: int
    updated_at: Timestamp


class MessageRejected(BaseModel):
    """An accepted message that could not be stored."""

    session_id: UUID
    message_id: UUID
    client_message_id: str | None
    code: str


class ActiveReply(BaseModel):
    """A reply under way; `text` and `attempt` as far as this gateway has seen them."""

    message_id: UUID
    chatbot_id: str
    attempt: int
    text: str


class Joined(BaseModel):
    """The ack of `join_chat`."""

    session: OwnSession
    messages: list[Message]
    has_more: bool
    last_seq: int
    active_replies: list[ActiveReply]


class Accepted(BaseModel):
    """The ack of `send_message`: held durably."""

    message_id: UUID
    client_message_id: str | None
    status: str


class Invited(BaseModel):
    """The ack of `create_invite`: a secret that is shown once."""

    invite: str
    expires_at: Timestamp


class SessionDeleted(BaseModel):
    """A session is no more, or no more this user's."""

    session_id: UUID


class Presence(BaseModel):
    """Who of a session's users has joined it just now, on any of their devices; the whole list each time."""

    session_id: UUID
    users: list[str]


class TokenExpires(BaseModel):
    """When the access token of this socket runs out."""

    expires_at: Timestamp


class Done(BaseModel):
    """Nothing more to tell."""


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
ACKS: dict[str, type[BaseModel]] = {
    "start_chat": SessionResult,
    "send_message": Accepted,
    "join_chat": Joined,
    "leave_chat": Done,
    "get_messages": HistoryResult,
    "list_chats": SessionsResult,
    "update_chat": SessionResult,
    "delete_chat": Done,
    "list_chatbots": ChatbotsResult,
    "add_chatbot": SessionResult,
    "remove_chatbot": SessionResult,
    "create_invite": Invited,
    "accept_invite": SessionResult,
    "leave_session": Done,
    "remove_user": SessionResult,
    "stop_reply": Done,
    "regenerate_reply": RegenerateResult,
    "edit_message": Done,
    "rate_reply": Done,
    "search_messages": SearchResult,
    "set_typing": Done,
    "mark_read": Done,
    "refresh_token": TokenExpires,
}


@cache
def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document."""
    clients = [
        Channel(
            "client", "/socket.io/", "Events of a client, each acked", "receive", dict(CLIENT_EVENTS), replies=ACKS
        ),
        Channel("server", "/socket.io/", "Events of the server", "send", SERVER_EVENTS),
    ]
    return describe("Backchat", __version__, DESCRIPTION, [*clients, *bus_channels()])
