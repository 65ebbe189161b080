"""Payloads of client events (contract.md §3.3), one model for each event. Pure.

Unknown fields are ignored. A field that is `null` counts as absent: `parsing.parse` removes it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from chat_gateway.protocol.fields import (
    ChatbotId,
    ClientId,
    Comment,
    Id,
    Limit,
    Opaque,
    Query,
    Rating,
    Seq,
    Text,
    Title,
    UserId,
)
from shared.contracts.views import PAGE_DEFAULT, ReplyPolicy

INVITE_EXPIRES_MIN = 1  # seconds
INVITE_EXPIRES_MAX = 90 * 24 * 3600  # seconds
INVITE_EXPIRES_DEFAULT = 7 * 24 * 3600  # seconds
INVITE_USES_MAX = 1_000


class ClientPayload(BaseModel):
    """The JSON object of a client event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class InSession(ClientPayload):
    """An event that concerns one session."""

    session_id: Id = Field(description="The session")


class Change(InSession):
    """An event that changes a session; begun after the earlier events of the same socket to this session."""


class StartChat(ClientPayload):
    """`start_chat`. Without chatbots, also with an empty list, the session gets the default chatbot."""

    title: Title | None = Field(default=None, description="Title; absent: the first reply gives one")
    chatbot_ids: Annotated[list[ChatbotId], Field(max_length=100)] | None = Field(
        default=None, description="Chatbots of the session; absent or empty: the default chatbot"
    )
    reply_policy: ReplyPolicy = Field(default="mentioned", description="Which chatbots answer a message")
    client_request_id: ClientId | None = Field(default=None, description="Recognises a repetition")
    users: Annotated[list[UserId], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="The members, of which the first is the owner, instead of the caller: a service with `sessions`",
    )


class SendMessage(InSession):
    """`send_message`. `parsing.parse` checks the length of `content`, which has a separate error code."""

    content: Text = Field(
        description="At most 16,000 characters, at least one after trimming; longer: `payload_too_large`"
    )
    client_message_id: ClientId | None = Field(default=None, description="Recognises a repetition")
    reply_to: Id | None = Field(default=None, description="A message of the session that this one refers to")


class JoinChat(InSession):
    """`join_chat`."""

    after_seq: Seq | None = Field(default=None, description="The cursor of the client; absent: the newest page")
    limit: Limit = Field(default=PAGE_DEFAULT, description="Maximum number of messages")


class LeaveChat(InSession):
    """`leave_chat`."""


class GetMessages(InSession):
    """`get_messages`, with `before_seq` or `after_seq` or neither."""

    before_seq: Seq | None = Field(
        default=None, description="Messages with a lower `seq`; not together with `after_seq`"
    )
    after_seq: Seq | None = Field(default=None, description="Messages with a higher `seq`")
    limit: Limit = Field(default=PAGE_DEFAULT, description="Maximum number of messages")


class ListChats(ClientPayload):
    """`list_chats`."""

    cursor: Opaque | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Limit = Field(default=PAGE_DEFAULT, description="Maximum number of sessions")


class UpdateChat(Change):
    """`update_chat`. Absent fields stay unchanged."""

    title: Title | None = Field(default=None, description="New title; absent: unchanged")
    reply_policy: ReplyPolicy | None = Field(default=None, description="New policy, by the owner; absent: unchanged")


class DeleteChat(Change):
    """`delete_chat`."""


class ListChatbots(ClientPayload):
    """`list_chatbots`."""


class AddChatbot(Change):
    """`add_chatbot`."""

    chatbot_id: ChatbotId = Field(description="Id of a chatbot of the catalogue")


class RemoveChatbot(Change):
    """`remove_chatbot`."""

    chatbot_id: ChatbotId = Field(description="Id of a chatbot of the session")


class CreateInvite(Change):
    """`create_invite`. `expires_in` is in seconds; without `max_uses` the number of uses is unlimited."""

    expires_in: Annotated[StrictInt, Field(ge=INVITE_EXPIRES_MIN, le=INVITE_EXPIRES_MAX)] = Field(
        default=INVITE_EXPIRES_DEFAULT, description="Lifetime of the invite in seconds"
    )
    max_uses: Annotated[StrictInt, Field(ge=1, le=INVITE_USES_MAX)] | None = Field(
        default=None, description="How many users may accept it; absent: any number"
    )


class AcceptInvite(ClientPayload):
    """`accept_invite`. Text that is not an invite is refused `not_found`, like an unknown invite."""

    invite: Annotated[StrictStr, Field(min_length=1, max_length=1_000)] = Field(
        description="The secret from `create_invite`"
    )


class LeaveSession(Change):
    """`leave_session`."""


class RemoveUser(Change):
    """`remove_user`."""

    user_id: UserId = Field(description="The member to remove")


class StopReply(Change):
    """`stop_reply`."""

    message_id: Id = Field(description="The reply in progress")


class RegenerateReply(Change):
    """`regenerate_reply`."""

    message_id: Id = Field(description="The reply to replace")


class EditMessage(Change):
    """`edit_message`. `content` is as in `send_message`."""

    message_id: Id = Field(description="The author's last message in the session")
    content: Text = Field(description="The new text, as in `send_message`")


class RateReply(Change):
    """`rate_reply`. A rating of 0 removes an earlier one."""

    message_id: Id = Field(description="The reply")
    rating: Rating = Field(description="1: good, -1: bad, 0: remove the rating")
    comment: Comment | None = Field(default=None, description="Reason, for the operator")


class SearchMessages(ClientPayload):
    """`search_messages`, in all sessions of the user or in one."""

    query: Query = Field(description="Words that must all be in the message")
    session_id: Id | None = Field(
        default=None, description="Search only this session; absent: all of the user's sessions"
    )
    cursor: Opaque | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Limit = Field(default=PAGE_DEFAULT, description="Maximum number of hits")


class SetTyping(InSession):
    """`set_typing`."""

    typing: StrictBool = Field(description="Whether the user begins or ends typing")


class MarkRead(Change):
    """`mark_read`."""

    seq: Seq = Field(description="The highest number that the user has read")


class RefreshToken(ClientPayload):
    """`refresh_token`. The token is checked by `chat_gateway.identity`, not here."""

    token: StrictStr = Field(description="A newer access token of the same user")


class GetSession(InSession):
    """One session, only over the HTTP API."""


class GetMessage(InSession):
    """One message, only over the HTTP API."""

    message_id: Id = Field(description="The message")


CLIENT_EVENTS: dict[str, type[ClientPayload]] = {
    "start_chat": StartChat,
    "send_message": SendMessage,
    "join_chat": JoinChat,
    "leave_chat": LeaveChat,
    "get_messages": GetMessages,
    "list_chats": ListChats,
    "update_chat": UpdateChat,
    "delete_chat": DeleteChat,
    "list_chatbots": ListChatbots,
    "add_chatbot": AddChatbot,
    "remove_chatbot": RemoveChatbot,
    "create_invite": CreateInvite,
    "accept_invite": AcceptInvite,
    "leave_session": LeaveSession,
    "remove_user": RemoveUser,
    "stop_reply": StopReply,
    "regenerate_reply": RegenerateReply,
    "edit_message": EditMessage,
    "rate_reply": RateReply,
    "search_messages": SearchMessages,
    "set_typing": SetTyping,
    "mark_read": MarkRead,
    "refresh_token": RefreshToken,
}

REQUESTS: dict[str, type[ClientPayload]] = {"get_session": GetSession, "get_message": GetMessage}
"""The requests of the HTTP API that are no events of Socket.IO."""
