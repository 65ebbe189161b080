"""Acks of client events: their envelope, their error codes, and the model of each."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from chat_gateway.protocol.server_events import Done, TokenExpires
from shared.contracts.payload import Model, Timestamp
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


class ActiveReply(Model):
    """An unfinished reply; `text` and `attempt` as far as this gateway has received them."""

    message_id: Annotated[UUID, Meta(description="The id that the stored reply will have")]
    chatbot_id: Annotated[str, Meta(description="The chatbot that writes it")]
    attempt: Annotated[int, Meta(description="The attempt of `text`; 0 if this gateway has seen none")]
    text: Annotated[str, Meta(description="The text so far, as seen by this gateway")]
    reasoning: Annotated[str, Meta(description="The reasoning so far, of the same attempt")] = ""


class Joined(Model):
    """The ack of `join_chat`."""

    session: Annotated[OwnSession, Meta(description="The session with the read mark of the caller")]
    messages: Annotated[list[Message], Meta(description="The newest page, or the changes after the cursor")]
    has_more: Annotated[bool, Meta(description="With `after_seq`: call again. Without: there are older messages")]
    last_seq: Annotated[int, Meta(description="The answer is complete up to this number")]
    active_replies: Annotated[list[ActiveReply], Meta(description="Replies in progress")]


class Accepted(Model):
    """The ack of `send_message`: the bus holds the message durably."""

    message_id: Annotated[UUID, Meta(description="The id of the message")]
    client_message_id: Annotated[str | None, Meta(description="As sent")]
    status: Annotated[str, Meta(description="Always `accepted`")]


class Invited(Model):
    """The ack of `create_invite`. The invite is a secret and is returned only once."""

    invite: Annotated[str, Meta(description="The secret; shown only here")]
    expires_at: Annotated[Timestamp, Meta(description="When it expires")]


ACKS: dict[str, type[Model]] = {
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
