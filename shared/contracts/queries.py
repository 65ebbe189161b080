"""Queries on `chat.queries` and their results, which are sent as a `Reply`.

`scopes` are those of a service (`shared.contracts.scopes`); `None` for a user.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta

from shared.contracts.envelope import MalformedEvent, Received
from shared.contracts.payload import Model, Payload
from shared.contracts.views import ActiveTurn, Chatbot, ErrorView, Message, OwnSession, Session
from shared.errors import Internal, from_code


class JoinSession(Payload):
    """Request a member's view of a session: the newest page, or all changes after `after_seq`. → `JoinResult`"""

    TYPE: ClassVar[str] = "backchat.session.join.v1"

    user_id: str
    session_id: UUID
    after_seq: int | None
    limit: int
    scopes: list[str] | None = None


class JoinResult(Model):
    """A consistent snapshot, complete up to `last_seq`; with `has_more`, that is the last number in `messages`."""

    session: OwnSession
    messages: list[Message]
    has_more: bool
    last_seq: int
    active: list[ActiveTurn]


class ReadSession(Payload):
    """Request a session, as a member; `not_found` for all other users. → `OwnSessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.read.v1"

    user_id: str
    session_id: UUID
    scopes: list[str] | None = None


class SessionResult(Model):
    """A session, as in the ack of `start_chat`."""

    session: Annotated[Session, Meta(description="The session as it is now")]


class StartResult(SessionResult):
    """A started session. `created`: by this command; false if the session existed already."""

    created: bool


class OwnSessionResult(Model):
    """A session with the read mark of the user."""

    session: Annotated[OwnSession, Meta(description="The session as it is now")]


class ReadMessage(Payload):
    """Request a stored message, as a member of its session; `not_found` for all other users. → `MessageResult`"""

    TYPE: ClassVar[str] = "backchat.message.read.v1"

    user_id: str
    session_id: UUID
    message_id: UUID
    scopes: list[str] | None = None


class MessageResult(Model):
    """A stored message."""

    message: Annotated[Message, Meta(description="The message as it is now")]


class ReadAnswer(Payload):
    """Request a stored message and the replies to it, as a member of its session. → `AnswerResult`"""

    TYPE: ClassVar[str] = "backchat.message.answer.read.v1"

    user_id: str
    session_id: UUID
    message_id: UUID
    scopes: list[str] | None = None


class AnswerResult(Model):
    """A message, and the replies of the turns that answer it, ascending by `seq`, without superseded ones.

    `ended`: none of these turns is open.
    """

    message: Annotated[Message, Meta(description="The message as it is now")]
    replies: Annotated[list[Message], Meta(description="The replies to it, ascending by `seq`")]
    ended: bool


class ReadChanges(Payload):
    """Request the changes after a number, for a gateway, which checks membership itself. → `ChangesResult`"""

    TYPE: ClassVar[str] = "backchat.session.changes.v1"

    session_id: UUID
    after_seq: int
    limit: int


class ChangesResult(Model):
    """Messages changed after `after_seq`, ascending by `updated_seq`, and the session, in one snapshot."""

    session: Session
    messages: list[Message]
    has_more: bool
    last_seq: int


class ReadHeads(Payload):
    """Request the newest numbers of several sessions. → `HeadsResult`"""

    TYPE: ClassVar[str] = "backchat.session.heads.v1"

    session_ids: list[UUID]


class HeadsResult(Model):
    """A map of session id to `last_seq`, without sessions that do not exist."""

    heads: dict[str, int]


class ReadHistory(Payload):
    """Request a page of history before or after a number. → `HistoryResult`"""

    TYPE: ClassVar[str] = "backchat.messages.read.v1"

    user_id: str
    session_id: UUID
    before_seq: int | None
    after_seq: int | None
    limit: int
    scopes: list[str] | None = None


class HistoryResult(Model):
    """A page of history, ascending by `seq`; at most 512 KiB of JSON."""

    messages: Annotated[list[Message], Meta(description="Ascending by `seq`; at most 512 KiB")]
    has_more: Annotated[bool, Meta(description="Whether there are more messages in that direction")]


class ListSessions(Payload):
    """Request the sessions of a user, newest activity first. → `SessionsResult`"""

    TYPE: ClassVar[str] = "backchat.sessions.list.v1"

    user_id: str
    cursor: str | None
    limit: int
    scopes: list[str] | None = None


class SessionsResult(Model):
    """A page of sessions; `next_cursor` is opaque."""

    sessions: Annotated[list[OwnSession], Meta(description="Newest activity first")]
    next_cursor: Annotated[str | None, Meta(description="Opaque position of the next page; null at the end")]


class ListChatbots(Payload):
    """Request the catalogue. → `ChatbotsResult`"""

    TYPE: ClassVar[str] = "backchat.chatbots.list.v1"


class ChatbotsResult(Model):
    """The catalogue, with the default chatbot first."""

    chatbots: Annotated[list[Chatbot], Meta(description="The default chatbot first")]


class IsTurnOpen(Payload):
    """Request whether a turn still has no reply. → `TurnResult`"""

    TYPE: ClassVar[str] = "backchat.turn.open.v1"

    session_id: UUID
    message_id: UUID


class TurnResult(Model):
    """Whether a turn is open; false if it has ended or never existed."""

    open: bool


class SearchMessages(Payload):
    """Search the messages of all sessions of a user, or of one session. → `SearchResult`"""

    TYPE: ClassVar[str] = "backchat.messages.search.v1"

    user_id: str
    query: str
    session_id: UUID | None
    cursor: str | None
    limit: int
    scopes: list[str] | None = None


class Hit(Model):
    """A found message. `snippet` is plain text around the search terms."""

    message: Annotated[Message, Meta(description="The found message")]
    session_title: Annotated[str | None, Meta(description="Title of its session")]
    snippet: Annotated[str, Meta(description="Plain text around the search terms")]


class SearchResult(Model):
    """A page of hits, newest first; `next_cursor` is opaque."""

    hits: Annotated[list[Hit], Meta(description="Newest first")]
    next_cursor: Annotated[str | None, Meta(description="Opaque position of the next page; null at the end")]


class ExportUser(Payload):
    """Request a page of the stored data of a user, for auth. → `ExportResult`"""

    TYPE: ClassVar[str] = "backchat.user.export.v1"

    user_id: str
    cursor: str | None


class ExportedSession(Model):
    """A session of the user with the messages and ratings that they wrote; a long one is split over several pages.

    `former`: the user has left it, so the session is exported without its current data.
    """

    session: OwnSession
    messages: list[Message]
    ratings: list[dict[str, Any]]
    former: bool = False


class ExportResult(Model):
    """A page of an export, at most 512 KiB of JSON; `next_cursor` is opaque, `None` at the end."""

    sessions: list[ExportedSession]
    next_cursor: str | None


class RegenerateResult(Model):
    """The id of the message that the new reply will be."""

    message_id: Annotated[UUID, Meta(description="The id that the new reply will have")]


class Nothing(Model):
    """The empty result of a command."""


class Failure(ErrorView):
    """An error of `shared.errors` on the wire; `retry_after` in seconds."""

    retry_after: float | None = None


class Reply(Payload):
    """The reply to a command or query: either `result` or `error`."""

    TYPE: ClassVar[str] = "backchat.reply.v1"

    result: dict[str, Any] | None = None
    error: Failure | None = None

    @classmethod
    def result_of(cls, answer: Received) -> dict[str, Any]:
        """Return the raw result of a received answer.

        Raises:
            Internal: the answer is not a `Reply`, or has neither a result nor an error.
            BackchatError: the error that the answer carries.
        """
        try:
            reply = answer.parse(cls)
        except MalformedEvent:
            raise Internal from None
        if reply.error is not None:
            raise from_code(reply.error.code, reply.error.message, reply.error.retry_after)
        if reply.result is None:
            raise Internal
        return reply.result


QUERIES: tuple[type[Payload], ...] = (
    JoinSession,
    ReadSession,
    ReadMessage,
    ReadAnswer,
    ReadChanges,
    ReadHeads,
    ReadHistory,
    ListSessions,
    ListChatbots,
    IsTurnOpen,
    SearchMessages,
    ExportUser,
)
