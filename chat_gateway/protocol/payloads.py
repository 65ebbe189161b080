"""Payloads of client events (contract §3), one model for each event. Pure.

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

    session_id: Id


class Change(InSession):
    """An event that changes a session; begun after the earlier events of the same socket to this session."""


class StartChat(ClientPayload):
    """`start_chat`. Without chatbots, also with an empty list, the session gets the default chatbot."""

    title: Title | None = None
    chatbot_ids: Annotated[list[ChatbotId], Field(max_length=100)] | None = None
    reply_policy: ReplyPolicy = "mentioned"
    client_request_id: ClientId | None = None


class SendMessage(InSession):
    """`send_message`. `parsing.parse` checks the length of `content`, which has a separate error code."""

    content: Text
    client_message_id: ClientId | None = None
    reply_to: Id | None = None


class JoinChat(InSession):
    """`join_chat`."""

    after_seq: Seq | None = None
    limit: Limit = PAGE_DEFAULT


class LeaveChat(InSession):
    """`leave_chat`."""


class GetMessages(InSession):
    """`get_messages`, with `before_seq` or `after_seq` or neither."""

    before_seq: Seq | None = None
    after_seq: Seq | None = None
    limit: Limit = PAGE_DEFAULT


class ListChats(ClientPayload):
    """`list_chats`."""

    cursor: Opaque | None = None
    limit: Limit = PAGE_DEFAULT


class UpdateChat(Change):
    """`update_chat`. Absent fields stay unchanged."""

    title: Title | None = None
    reply_policy: ReplyPolicy | None = None


class DeleteChat(Change):
    """`delete_chat`."""


class ListChatbots(ClientPayload):
    """`list_chatbots`."""


class AddChatbot(Change):
    """`add_chatbot`."""

    chatbot_id: ChatbotId


class RemoveChatbot(Change):
    """`remove_chatbot`."""

    chatbot_id: ChatbotId


class CreateInvite(Change):
    """`create_invite`. `expires_in` is in seconds; without `max_uses` the number of uses is unlimited."""

    expires_in: Annotated[StrictInt, Field(ge=INVITE_EXPIRES_MIN, le=INVITE_EXPIRES_MAX)] = INVITE_EXPIRES_DEFAULT
    max_uses: Annotated[StrictInt, Field(ge=1, le=INVITE_USES_MAX)] | None = None


class AcceptInvite(ClientPayload):
    """`accept_invite`. Text that is not an invite is refused `not_found`, like an unknown invite."""

    invite: Annotated[StrictStr, Field(min_length=1, max_length=1_000)]


class LeaveSession(Change):
    """`leave_session`."""


class RemoveUser(Change):
    """`remove_user`."""

    user_id: UserId


class StopReply(Change):
    """`stop_reply`."""

    message_id: Id


class RegenerateReply(Change):
    """`regenerate_reply`."""

    message_id: Id


class EditMessage(Change):
    """`edit_message`. `content` is as in `send_message`."""

    message_id: Id
    content: Text


class RateReply(Change):
    """`rate_reply`. A rating of 0 removes an earlier one."""

    message_id: Id
    rating: Rating
    comment: Comment | None = None


class SearchMessages(ClientPayload):
    """`search_messages`, in all sessions of the user or in one."""

    query: Query
    session_id: Id | None = None
    cursor: Opaque | None = None
    limit: Limit = PAGE_DEFAULT


class SetTyping(InSession):
    """`set_typing`."""

    typing: StrictBool


class MarkRead(Change):
    """`mark_read`."""

    seq: Seq


class RefreshToken(ClientPayload):
    """`refresh_token`. The token is checked by `chat_gateway.identity`, not here."""

    token: StrictStr


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
