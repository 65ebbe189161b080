"""The public shapes of `contract.md` §3, as clients see them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from shared.contracts.payload import Model, Timestamp

SenderType = Literal["user", "chatbot"]
MessageStatus = Literal["complete", "stopped", "failed", "erased"]
ReplyPolicy = Literal["mentioned", "all", "round_robin", "silent"]

USER_CONTENT_MAX = 16_000  # code points, after trimming at least one
REPLY_CONTENT_MAX = 100_000  # code points
CLIENT_ID_MAX = 128  # printable ASCII
TITLE_MAX = 200
PAGE_MAX = 200
PAGE_DEFAULT = 50
PAGE_BYTES_MAX = 512 * 1024


class ErrorView(Model):
    """Why a reply failed or was cut, in words that a person can be shown."""

    code: str
    message: str


class Message(Model):
    """A stored message. `seq` is its place for ever, `updated_seq` the number of its latest change."""

    id: UUID
    session_id: UUID
    seq: int
    updated_seq: int
    sender_type: SenderType
    sender_id: str
    content: str
    created_at: Timestamp
    client_message_id: str | None = None
    reply_to: UUID | None = None
    status: MessageStatus = "complete"
    error: ErrorView | None = None
    superseded_by: UUID | None = None


class ChatbotRef(Model):
    """A chatbot as a session names it."""

    id: str
    name: str


class Session(Model):
    """A chat. `seq` is the number of its own latest change (0 at first), `last_seq` the newest of all."""

    id: UUID
    title: str | None
    owner_id: str
    users: list[str]
    chatbots: list[ChatbotRef]
    reply_policy: ReplyPolicy
    seq: int
    last_seq: int
    created_at: Timestamp
    updated_at: Timestamp


class OwnSession(Session):
    """A session as its caller sees it in `join_chat` and `list_chats`."""

    read_seq: int


class Chatbot(Model):
    """A chatbot of the catalogue."""

    id: str
    name: str
    description: str
    default: bool


class ActiveTurn(Model):
    """A reply under way: the id that its message will have, and who writes it."""

    message_id: UUID
    chatbot_id: str
