"""The public shapes of contract.md §3.8, which clients receive."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

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
    """The reason why a reply failed or was truncated, with a text for users."""

    code: str = Field(description="Stable code")
    message: str = Field(description="Text to show to a person")


class Message(Model):
    """A stored message. `seq` is its permanent position, `updated_seq` the number of its latest change."""

    id: UUID = Field(description="Known before the message is stored: the id from the ack of `send_message`")
    session_id: UUID = Field(description="The session of the message")
    seq: int = Field(description="The number under which it was stored; never changes")
    updated_seq: int = Field(description="The number of its latest change; at first equal to `seq`")
    sender_type: SenderType = Field(description="Whether a user or a chatbot wrote it")
    sender_id: str = Field(description="Id of the user or chatbot")
    content: str = Field(description="The text; empty if erased")
    created_at: Timestamp = Field(description="When it was accepted; need not ascend with `seq`")
    client_message_id: str | None = Field(default=None, description="The id that its sender chose; null for chatbots")
    reply_to: UUID | None = Field(
        default=None,
        description="Of a reply: the newest message that it answers. Of a user's message: the message it refers to",
    )
    status: MessageStatus = Field(default="complete", description="`stopped` and `failed` replies have the text so far")
    error: ErrorView | None = Field(default=None, description="Why a reply is `failed`, or was cut")
    superseded_by: UUID | None = Field(
        default=None, description="Id of the message that replaces it: regenerated, or its question was edited"
    )


class ChatbotRef(Model):
    """A chatbot in a session."""

    id: str = Field(description="Id of the chatbot in the catalogue")
    name: str = Field(description="Its display name")


class Session(Model):
    """A chat. `seq` is the number of the latest change of the session itself, `last_seq` that of any change in it."""

    id: UUID = Field(description="Id of the session")
    title: str | None = Field(description="Null until a title is set or the first reply gives one")
    owner_id: str = Field(description="The member with the right to change policy, chatbots and members")
    users: list[str] = Field(description="Ids of the members, the longest member first")
    chatbots: list[ChatbotRef] = Field(description="The chatbots of the session")
    reply_policy: ReplyPolicy = Field(description="Which chatbots answer a message")
    seq: int = Field(description="The number of the latest change of the session itself; 0 at first")
    last_seq: int = Field(description="The newest number of all changes in the session")
    created_at: Timestamp = Field(description="When it was created")
    updated_at: Timestamp = Field(description="When it last changed")


class OwnSession(Session):
    """A session in `join_chat` and `list_chats`, with the read position of the caller."""

    read_seq: int = Field(description="How far the caller has read")


class Chatbot(Model):
    """A chatbot of the catalogue."""

    id: str = Field(description="Id of the chatbot")
    name: str = Field(description="Its display name")
    description: str = Field(description="What it does, for a person who chooses")
    default: bool = Field(description="Whether it answers in sessions that name no chatbot")


class ActiveTurn(Model):
    """A reply in progress: the id of its future message, and its chatbot."""

    message_id: UUID
    chatbot_id: str
