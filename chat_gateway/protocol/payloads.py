"""What each client event carries (contract §3), one model an event. Pure.

`null` is absent and unknown fields are ignored; `protocol.parse` sees to the first.
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
    """The one object of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class InSession(ClientPayload):
    """About one session."""

    session_id: Id


class Change(InSession):
    """Changes a session: begun after what the same socket sent to the same session before it."""


class StartChat(ClientPayload):
    """`start_chat`: an empty list of chatbots is none, that is the default one."""

    title: Title | None = None
    chatbot_ids: Annotated[list[ChatbotId], Field(max_length=100)] | None = None
    reply_policy: ReplyPolicy = "mentioned"
    client_request_id: ClientId | None = None


class SendMessage(InSession):
    """`send_message`: the size of `content` is checked by `protocol.parse`, because it has a code of its own."""

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
    """`get_messages`: `before_seq` or `after_seq`, not both."""

    before_seq: Seq | None = None
    after_seq: Seq | None = None
    limit: Limit = PAGE_DEFAULT


class ListChats(ClientPayload):
    """`list_chats`."""

    cursor: Opaque | None = None
    limit: Limit = PAGE_DEFAULT


class UpdateChat(Change):
    """`update_chat`: what is absent stays as it is."""

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
    """`create_invite`: `expires_in` in seconds; without `max_uses` any number of people may use it."""

    expires_in: Annotated[StrictInt, Field(ge=INVITE_EXPIRES_MIN, le=INVITE_EXPIRES_MAX)] = INVITE_EXPIRES_DEFAULT
    max_uses: Annotated[StrictInt, Field(ge=1, le=INVITE_USES_MAX)] | None = None


class AcceptInvite(ClientPayload):
    """`accept_invite`: whatever is no invite is `not_found`, as one that is not known."""

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
    """`edit_message`: `content` as in `send_message`."""

    message_id: Id
    content: Text


class RateReply(Change):
    """`rate_reply`: 0 takes a rating back."""

    message_id: Id
    rating: Rating
    comment: Comment | None = None


class SearchMessages(ClientPayload):
    """`search_messages`: in all own sessions, or in one."""

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
    """`refresh_token`: what the token is worth, authentication says."""

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
