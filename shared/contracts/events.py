"""Events for gateways on `chat.delivery`, from the persistence worker and chatbot workers, and the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, field

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
    """A session was deleted (`whole`), or `users` stopped being members of it with the change `seq`.

    Keys: the bucket of each of `users`, and for a deleted session its partition.
    """

    TYPE: ClassVar[str] = "backchat.session.deleted.v1"

    session_id: UUID
    users: list[str]
    whole: bool
    seq: int | None = None  # of that change: users who joined after it are members again


class ReadMarked(Payload):
    """A member has read up to a number. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.session.read.marked.v1"

    session_id: Annotated[UUID, Meta(description="The session")]
    user_id: Annotated[str, Meta(description="The member")]
    seq: Annotated[int, Meta(description="The highest number that the member has read")]


class SessionHead(Payload):
    """The newest number of a session, republished after a crash. Key: its partition."""

    TYPE: ClassVar[str] = "backchat.session.head.v1"

    session_id: UUID
    last_seq: int


class SessionActivity(Payload):
    """A session has new messages; published at most once a second. Keys: the bucket of each of its users."""

    TYPE: ClassVar[str] = "backchat.session.activity.v1"

    session_id: UUID
    users: list[str]
    last_seq: int
    updated_at: Timestamp


class StreamedText(Payload):
    """A delta of a text of a reply in progress. `offset` counts code points before `text`."""

    session_id: Annotated[UUID, Meta(description="The session of the reply")]
    message_id: Annotated[UUID, Meta(description="The id that the stored reply will have")]
    chatbot_id: Annotated[str, Meta(description="The chatbot that writes it")]
    attempt: Annotated[int, Meta(description="Grows with each new start; a higher one starts the text again")]
    offset: Annotated[int, Meta(description="Characters before `text`")]
    text: Annotated[str, Meta(description="The new text; with `snapshot` the whole text so far")]
    snapshot: Annotated[bool, Meta(description="Whether `text` is the whole text so far")]


class ReplyStreamed(StreamedText):
    """A delta of a reply in progress. `offset` counts code points before `text`. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.reply.streamed.v1"


class ReasoningStreamed(StreamedText):
    """A delta of the reasoning of a reply in progress, a text with its own offsets. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.reasoning.streamed.v1"


class TypingChanged(Payload):
    """A user or chatbot starts or stops typing. Key: the session's partition."""

    TYPE: ClassVar[str] = "backchat.typing.changed.v1"

    session_id: Annotated[UUID, Meta(description="The session")]
    sender_type: Annotated[SenderType, Meta(description="A user or a chatbot")]
    sender_id: Annotated[str, Meta(description="Id of the user or chatbot")]
    typing: Annotated[bool, Meta(description="Whether it began or ended")]


class PeoplePresent(Payload):
    """The users who have joined a session through one gateway; not persistent. Key: the session's partition.

    `ask` requests the same event from all gateways. The event expires unless it is repeated within 75 seconds.
    """

    TYPE: ClassVar[str] = "backchat.people.present.v1"

    session_id: UUID
    gateway: str
    users: list[str]
    ask: bool


class UserSpent(Payload):
    """The number of client events that a gateway has just accepted from a busy user; not persistent. Key: their bucket.

    All further gateways subtract them from their budget of that user, so that all together grant about one budget.
    """

    TYPE: ClassVar[str] = "backchat.user.spent.v1"

    user_id: str
    gateway: str
    events: int


class ContextWanted(Model):
    """The context that a chatbot requests: a maximum number of earlier messages and of UTF-8 bytes.

    `summary`: also a summary of the messages before them.
    """

    messages: int
    bytes: int
    summary: bool = False


class ChatbotCard(Model):
    """A chatbot of an announced catalogue.

    `immediate`: it replies without delay and without external services, so its turns may be published in batches.
    """

    id: str
    name: str
    description: str
    default: bool
    immediate: bool
    context: ContextWanted
    avatar: str = ""
    suggestions: list[str] = field(default_factory=list)


class ChatbotsAnnounced(Payload):
    """The complete catalogue; the newest `modified_at` wins."""

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
    ReasoningStreamed,
    TypingChanged,
    PeoplePresent,
    UserSpent,
    ChatbotsAnnounced,
)
