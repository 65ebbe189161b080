"""Acks of client events: their envelope, their error codes, and the model of each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from chat_gateway.protocol.server_events import Done, TokenExpires
from shared.contracts.payload import Timestamp
from shared.contracts.queries import (
    ChatbotsResult,
    HistoryResult,
    RegenerateResult,
    SearchResult,
    SessionResult,
    SessionsResult,
)
from shared.contracts.views import Message, OwnSession
from shared.errors import BackchatError

ACK_CODES = frozenset(
    {
        "invalid_request",
        "not_found",
        "forbidden",
        "rate_limited",
        "payload_too_large",
        "conflict",
        "unavailable",
        "internal",
    }
)


def accepted(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the ack of a successful event."""
    return {"ok": True, **fields}


def refused(error: BackchatError) -> dict[str, Any]:
    """Return the ack of an event that failed, or whose outcome is unknown."""
    code = error.code if error.code in ACK_CODES else "internal"
    body: dict[str, Any] = {"code": code, "message": error.detail}
    if error.retry_after is not None:
        body["retry_after"] = round(error.retry_after, 3)
    elif code in ("unavailable", "rate_limited"):
        body["retry_after"] = 1.0
    return {"ok": False, "error": body}


class ActiveReply(BaseModel):
    """An unfinished reply; `text` and `attempt` as far as this gateway has received them."""

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
    """The ack of `send_message`: the bus holds the message durably."""

    message_id: UUID
    client_message_id: str | None
    status: str


class Invited(BaseModel):
    """The ack of `create_invite`. The invite is a secret and is returned only once."""

    invite: str
    expires_at: Timestamp


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
