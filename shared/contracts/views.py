"""The public shapes of contract.md §3.8, which clients receive."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, field

from shared.contracts.payload import Model, Timestamp

SenderType = Literal["user", "chatbot"]
MessageStatus = Literal["complete", "stopped", "failed", "erased"]
ReplyPolicy = Literal["mentioned", "all", "round_robin", "silent"]

USER_CONTENT_MAX = 16_000  # code points, after trimming at least one
REPLY_CONTENT_MAX = 100_000  # code points
CLIENT_ID_MAX = 128  # printable ASCII
REASONING_BYTES_MAX = 60_000  # of UTF-8 and escapes of JSON; all parts of a message have at most 64 KiB
TITLE_MAX = 200
PAGE_MAX = 200
PAGE_DEFAULT = 50
PAGE_BYTES_MAX = 512 * 1024


class ErrorView(Model):
    """The reason why a reply failed or was truncated, with a text for users."""

    code: Annotated[str, Meta(description="Stable code")]
    message: Annotated[str, Meta(description="Text to show to a person")]


class ReasoningPart(Model):
    """What a model wrote before its answer. It is no part of `content`, and no model is sent it."""

    text: Annotated[str, Meta(description="The text")]
    type: Annotated[Literal["reasoning"], Meta(description="Always `reasoning`")] = "reasoning"


class Message(Model):
    """A stored message. `seq` is its permanent position, `updated_seq` the number of its latest change."""

    id: Annotated[UUID, Meta(description="Known before the message is stored: the id from the ack of `send_message`")]
    session_id: Annotated[UUID, Meta(description="The session of the message")]
    seq: Annotated[int, Meta(description="The number under which it was stored; never changes")]
    updated_seq: Annotated[int, Meta(description="The number of its latest change; at first equal to `seq`")]
    sender_type: Annotated[SenderType, Meta(description="Whether a user or a chatbot wrote it")]
    sender_id: Annotated[str, Meta(description="Id of the user or chatbot")]
    content: Annotated[str, Meta(description="The text; empty if erased")]
    created_at: Annotated[Timestamp, Meta(description="When it was accepted; need not ascend with `seq`")]
    client_message_id: Annotated[str | None, Meta(description="The id that its sender chose; null for chatbots")] = None
    reply_to: Annotated[
        UUID | None,
        Meta(
            description="Of a reply: the newest message that it answers. Of a user's message: the message it refers to"
        ),
    ] = None
    status: Annotated[MessageStatus, Meta(description="`stopped` and `failed` replies have the text so far")] = (
        "complete"
    )
    error: Annotated[ErrorView | None, Meta(description="Why a reply is `failed`, or was cut")] = None
    superseded_by: Annotated[
        UUID | None, Meta(description="Id of the message that replaces it: regenerated, or its question was edited")
    ] = None
    parts: (
        Annotated[
            list[ReasoningPart],
            Meta(
                description="What belongs to the message and is no text of it; absent if there is nothing. "
                "Ignore types that you do not know",
                extra_json_schema={"x-omitted": "if empty"},
            ),
        ]
        | UnsetType
    ) = UNSET


class ChatbotRef(Model):
    """A chatbot in a session."""

    id: Annotated[str, Meta(description="Id of the chatbot in the catalogue")]
    name: Annotated[str, Meta(description="Its display name")]


class Session(Model):
    """A chat. `seq` is the number of the latest change of the session itself, `last_seq` that of any change in it."""

    id: Annotated[UUID, Meta(description="Id of the session")]
    title: Annotated[str | None, Meta(description="Null until a title is set or the first reply gives one")]
    owner_id: Annotated[str, Meta(description="The member with the right to change policy, chatbots and members")]
    users: Annotated[list[str], Meta(description="Ids of the members, the longest member first")]
    chatbots: Annotated[list[ChatbotRef], Meta(description="The chatbots of the session")]
    reply_policy: Annotated[ReplyPolicy, Meta(description="Which chatbots answer a message")]
    seq: Annotated[int, Meta(description="The number of the latest change of the session itself; 0 at first")]
    last_seq: Annotated[int, Meta(description="The newest number of all changes in the session")]
    created_at: Annotated[Timestamp, Meta(description="When it was created")]
    updated_at: Annotated[Timestamp, Meta(description="When it last changed")]


class OwnSession(Session):
    """A session in `join_chat` and `list_chats`, with the read position of the caller."""

    read_seq: Annotated[int, Meta(description="How far the caller has read")]


class Chatbot(Model, omit_defaults=True):
    """A chatbot of the catalogue."""

    id: Annotated[str, Meta(description="Id of the chatbot")]
    name: Annotated[str, Meta(description="Its display name")]
    description: Annotated[str, Meta(description="What it does, for a person who chooses")]
    default: Annotated[bool, Meta(description="Whether it answers in sessions that name no chatbot")]
    avatar: Annotated[str, Meta(description="URL of its picture; absent without one")] = ""
    suggestions: Annotated[list[str], Meta(description="First messages to offer; absent without any")] = field(
        default_factory=list
    )


class ActiveTurn(Model):
    """A reply in progress: the id of its future message, and its chatbot."""

    message_id: UUID
    chatbot_id: str
