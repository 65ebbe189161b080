"""Events: what persistence or a chatbot worker tells the gateways on `chat.delivery`, and the catalogue."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.payload import Model, Payload, Timestamp
from shared.contracts.views import Message, SenderType, Session


class MessageStored(Payload):
    """A message is stored under `message.seq`. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.message.stored.v1"

    message: Message


class MessageRejected(Payload):
    """An accepted message could not be stored. Key: the author's bucket."""

    TYPE: ClassVar[str] = "backchat.message.rejected.v1"

    session_id: UUID
    message_id: UUID
    client_message_id: str | None
    user_id: str
    code: str


class SessionUpdated(Payload):
    """A session is new or has changed. Keys: its partition, and the bucket of each of its users."""

    TYPE: ClassVar[str] = "backchat.session.updated.v1"

    session: Session


class MessageUpdated(Payload):
    """A stored message has changed under `message.updated_seq`. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.message.updated.v1"

    message: Message


class SessionDeleted(Payload):
    """A session is no more for `users`: `whole`, it was deleted; else these ceased to be members, as of `seq`.

    Keys: the bucket of each of `users`, and for a whole one its partition.
    """

    TYPE: ClassVar[str] = "backchat.session.deleted.v1"

    session_id: UUID
    users: list[str]
    whole: bool
    seq: int | None = None  # the number of that change: whoever has joined since then is a member again


class ReadMarked(Payload):
    """A member has read up to a number. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.session.read.marked.v1"

    session_id: UUID = Field(description="The session")
    user_id: str = Field(description="The member")
    seq: int = Field(description="The highest number that the member has read")


class SessionHead(Payload):
    """The newest number of a session, told again after a crash. Key: its partition."""

    TYPE: ClassVar[str] = "backchat.session.head.v1"

    session_id: UUID
    last_seq: int


class SessionActivity(Payload):
    """Something new is stored in a session; told at most once a second. Keys: the bucket of each of its users."""

    TYPE: ClassVar[str] = "backchat.session.activity.v1"

    session_id: UUID
    users: list[str]
    last_seq: int
    updated_at: Timestamp


class ReplyStreamed(Payload):
    """A piece of a reply under way. `offset` counts code points before `text`. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.reply.streamed.v1"

    session_id: UUID = Field(description="The session of the reply")
    message_id: UUID = Field(description="The id that the stored reply will have")
    chatbot_id: str = Field(description="The chatbot that writes it")
    attempt: int = Field(description="Grows with each new start; a higher one starts the text again")
    offset: int = Field(description="Characters before `text`")
    text: str = Field(description="The new text; with `snapshot` the whole text so far")
    snapshot: bool = Field(description="Whether `text` is the whole text so far")


class TypingChanged(Payload):
    """Somebody begins or ceases to write. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.typing.changed.v1"

    session_id: UUID = Field(description="The session")
    sender_type: SenderType = Field(description="A user or a chatbot")
    sender_id: str = Field(description="Id of the user or chatbot")
    typing: bool = Field(description="Whether it began or ended")


class PeoplePresent(Payload):
    """Who of a session's people has joined it by one gateway; volatile. Key: the session's partition.

    `ask`: the other gateways are to say so too. What a gateway does not say again within 75 seconds is over.
    """

    TYPE: ClassVar[str] = "backchat.people.present.v1"

    session_id: UUID
    gateway: str
    users: list[str]
    ask: bool


class UserSpent(Payload):
    """A gateway has taken so many client events of a busy user just now; volatile. Key: the user's bucket.

    The other gateways take them off their own budgets of that user, so that all together grant about one.
    """

    TYPE: ClassVar[str] = "backchat.user.spent.v1"

    user_id: str
    gateway: str
    events: int


class ContextWanted(Model):
    """How much of a session a chatbot wants to be given: at most so many earlier messages and UTF-8 bytes.

    `summary`: and what its worker made of what lies further back.
    """

    messages: int
    bytes: int
    summary: bool = False


class ChatbotCard(Model):
    """A chatbot as the catalogue announces it.

    `immediate`: it answers at once and needs nothing from outside, so its turns may travel in batches.
    """

    id: str
    name: str
    description: str
    default: bool
    immediate: bool
    context: ContextWanted


class ChatbotsAnnounced(Payload):
    """All chatbots there are; the newest `modified_at` wins."""

    TYPE: ClassVar[str] = "backchat.chatbots.announced.v1"

    chatbots: list[ChatbotCard]
    modified_at: Timestamp


EVENTS: tuple[type[Payload], ...] = (
    MessageStored,
    MessageUpdated,
    MessageRejected,
    SessionUpdated,
    SessionDeleted,
    ReadMarked,
    SessionHead,
    SessionActivity,
    ReplyStreamed,
    TypingChanged,
    PeoplePresent,
    UserSpent,
    ChatbotsAnnounced,
)
