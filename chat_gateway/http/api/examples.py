"""Examples of the OpenAPI document: bodies and parameters that clients send, and answers.

They are values of the models that the code runs on.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from chat_gateway.protocol.acks import Accepted, ActiveReply, Invited, Joined
from shared.contracts.payload import Model
from shared.contracts.queries import (
    ChatbotsResult,
    HistoryResult,
    Hit,
    MessageResult,
    OwnSessionResult,
    RegenerateResult,
    SearchResult,
    SessionResult,
    SessionsResult,
)
from shared.contracts.views import Chatbot, ChatbotRef, Message, OwnSession, Session

SESSION_ID = UUID("5f0c9f3e-8d2a-4b57-9a44-0f6b7c1d2e3f")
MESSAGE_ID = UUID("0b6d0f3e-6f0a-5c1b-9c5d-3a1f0e2d4c5b")
REPLY_ID = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
CHATBOT_ID = "eliza"
USER_ID = "ada"

PATH: dict[str, str] = {
    "session_id": str(SESSION_ID),
    "message_id": str(MESSAGE_ID),
    "user_id": "@me",
    "chatbot_id": CHATBOT_ID,
}
PARAMETERS: dict[str, Any] = {"limit": 50, "query": "order 1815"}
REQUESTS: dict[str, dict[str, Any]] = {
    "start_chat": {"title": "Order 1815", "chatbot_ids": [CHATBOT_ID]},
    "update_chat": {"title": "Order 1815: a question"},
    "send_message": {"content": "Where is my order?"},
    "edit_message": {"content": "Where is order 1815?"},
    "rate_reply": {"rating": 1, "comment": "Helpful"},
    "mark_read": {"seq": 2},
    "create_invite": {"expires_in": 3600, "max_uses": 1},
    "accept_invite": {"invite": "XwyfPo0qS1eaRA9rfB0uP3r2nJq0Zp4mYw8Vt1sKx6cQe5hLb7uDg9aFi3oTj2Rk"},
}

_BOT = ChatbotRef(id=CHATBOT_ID, name="Eliza")
_FIELDS: dict[str, Any] = {
    "id": SESSION_ID,
    "title": "Order 1815",
    "owner_id": USER_ID,
    "users": [USER_ID],
    "chatbots": [_BOT],
    "reply_policy": "mentioned",
    "seq": 0,
    "last_seq": 2,
    "created_at": "2026-11-23T09:30:00.000Z",
    "updated_at": "2026-11-23T09:30:04.250Z",
}
_SESSION = Session(**_FIELDS)
_OWN = OwnSession(**_FIELDS, read_seq=1)
_MESSAGE = Message(
    id=MESSAGE_ID,
    session_id=SESSION_ID,
    seq=1,
    updated_seq=1,
    sender_type="user",
    sender_id=USER_ID,
    content="Where is my order?",
    created_at="2026-11-23T09:30:01.000Z",
    client_message_id="order-1815-1",
)
_REPLY = Message(
    id=REPLY_ID,
    session_id=SESSION_ID,
    seq=2,
    updated_seq=2,
    sender_type="chatbot",
    sender_id=CHATBOT_ID,
    content="Why do you ask where your order is?",
    created_at="2026-11-23T09:30:04.250Z",
    reply_to=MESSAGE_ID,
)
_CARD = Chatbot(id=CHATBOT_ID, name="Eliza", description="Asks questions about what you say", default=True)
_ACTIVE = ActiveReply(message_id=REPLY_ID, chatbot_id=CHATBOT_ID, attempt=1, text="Why do you")

ANSWERS: dict[str, Model] = {
    "start_chat": SessionResult(session=_SESSION),
    "list_chats": SessionsResult(sessions=[_OWN], next_cursor=None),
    "get_session": OwnSessionResult(session=_OWN),
    "update_chat": SessionResult(session=_SESSION),
    "send_message": Accepted(message_id=MESSAGE_ID, client_message_id="order-1815-1", status="accepted"),
    "get_messages": HistoryResult(messages=[_MESSAGE, _REPLY], has_more=False),
    "get_message": MessageResult(message=_MESSAGE),
    "join_chat": Joined(session=_OWN, messages=[_MESSAGE], has_more=False, last_seq=1, active_replies=[_ACTIVE]),
    "regenerate_reply": RegenerateResult(message_id=REPLY_ID),
    "create_invite": Invited(invite=REQUESTS["accept_invite"]["invite"], expires_at="2026-11-23T10:30:00.000Z"),
    "accept_invite": SessionResult(session=_SESSION),
    "add_chatbot": SessionResult(session=_SESSION),
    "remove_chatbot": SessionResult(session=_SESSION),
    "search_messages": SearchResult(
        hits=[Hit(message=_MESSAGE, session_title="Order 1815", snippet="Where is my order?")], next_cursor=None
    ),
    "list_chatbots": ChatbotsResult(chatbots=[_CARD]),
}


class Answered(Model):
    """The answer to a message that was waited for."""

    message: Message
    replies: list[Message]


ANSWERED = Answered(message=_MESSAGE, replies=[_REPLY])
