"""Queries on `chat.queries` and their results; every answer travels as a `Reply`."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import MalformedEvent, Received
from shared.contracts.payload import Model, Payload
from shared.contracts.views import ActiveTurn, Chatbot, ErrorView, Message, OwnSession, Session
from shared.errors import Internal, from_code


class JoinSession(Payload):
    """A member's view of a session: the newest page, or with `after_seq` every change after it. → `JoinResult`"""

    TYPE: ClassVar[str] = "backchat.session.join.v1"

    user_id: str
    session_id: UUID
    after_seq: int | None
    limit: int


class JoinResult(Model):
    """One snapshot. Complete up to `last_seq` (while `has_more` after `after_seq`: the last number in it)."""

    session: OwnSession
    messages: list[Message]
    has_more: bool
    last_seq: int
    active: list[ActiveTurn]


class ReadSession(Payload):
    """A session as a member may see it, or `not_found`. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.read.v1"

    user_id: str
    session_id: UUID


class SessionResult(Model):
    """A session, as `start_chat` answers it."""

    session: Session = Field(description="The session as it is now")


class ReadChanges(Payload):
    """For a gateway, which checks membership itself: the changes after a number. → `ChangesResult`"""

    TYPE: ClassVar[str] = "backchat.session.changes.v1"

    session_id: UUID
    after_seq: int
    limit: int


class ChangesResult(Model):
    """Messages changed after `after_seq`, ascending by `updated_seq`, and the session as it is in the same snapshot."""

    session: Session
    messages: list[Message]
    has_more: bool
    last_seq: int


class ReadHeads(Payload):
    """The newest numbers of many sessions at once. → `HeadsResult`"""

    TYPE: ClassVar[str] = "backchat.session.heads.v1"

    session_ids: list[UUID]


class HeadsResult(Model):
    """Session id → `last_seq`; a session that does not exist is left out."""

    heads: dict[str, int]


class ReadHistory(Payload):
    """A page of history by place. → `HistoryResult`"""

    TYPE: ClassVar[str] = "backchat.messages.read.v1"

    user_id: str
    session_id: UUID
    before_seq: int | None
    after_seq: int | None
    limit: int


class HistoryResult(Model):
    """Ascending by `seq`; at most 512 KiB of JSON."""

    messages: list[Message] = Field(description="Ascending by `seq`; at most 512 KiB")
    has_more: bool = Field(description="Whether there are more messages in that direction")


class ListSessions(Payload):
    """A user's sessions, newest activity first. → `SessionsResult`"""

    TYPE: ClassVar[str] = "backchat.sessions.list.v1"

    user_id: str
    cursor: str | None
    limit: int


class SessionsResult(Model):
    """One page; `next_cursor` is opaque."""

    sessions: list[OwnSession] = Field(description="Newest activity first")
    next_cursor: str | None = Field(description="Opaque position of the next page; null at the end")


class ListChatbots(Payload):
    """The catalogue. → `ChatbotsResult`"""

    TYPE: ClassVar[str] = "backchat.chatbots.list.v1"


class ChatbotsResult(Model):
    """All chatbots, the default one first."""

    chatbots: list[Chatbot] = Field(description="The default chatbot first")


class IsTurnOpen(Payload):
    """Whether a turn still waits for its reply. → `TurnResult`"""

    TYPE: ClassVar[str] = "backchat.turn.open.v1"

    session_id: UUID
    message_id: UUID


class TurnResult(Model):
    """`open` is false for a turn that has ended or never was."""

    open: bool


class SearchMessages(Payload):
    """Find words in the messages of a user's own sessions, or of one of them; newest first. → `SearchResult`"""

    TYPE: ClassVar[str] = "backchat.messages.search.v1"

    user_id: str
    query: str
    session_id: UUID | None
    cursor: str | None
    limit: int


class Hit(Model):
    """A message that was found. `snippet` is plain text around the words."""

    message: Message = Field(description="The message that was found")
    session_title: str | None = Field(description="Title of its session")
    snippet: str = Field(description="Plain text around the words")


class SearchResult(Model):
    """One page; `next_cursor` is opaque."""

    hits: list[Hit] = Field(description="Newest first")
    next_cursor: str | None = Field(description="Opaque position of the next page; null at the end")


class ExportUser(Payload):
    """For auth: what is kept about a user, a page at a time. → `ExportResult`"""

    TYPE: ClassVar[str] = "backchat.user.export.v1"

    user_id: str
    cursor: str | None


class ExportedSession(Model):
    """A session of the user's, and what they wrote and rated there (of a long one a part; the next page goes on).

    `former`: they have left it, so of the session itself nothing is told but that it was.
    """

    session: OwnSession
    messages: list[Message]
    ratings: list[dict[str, Any]]
    former: bool = False


class ExportResult(Model):
    """At most 512 KiB of JSON; `next_cursor` is opaque, `None` at the end."""

    sessions: list[ExportedSession]
    next_cursor: str | None


class RegenerateResult(Model):
    """The id that the new reply's message will have."""

    message_id: UUID = Field(description="The id that the new reply will have")


class Nothing(Model):
    """The result of what is only done."""


class Failure(ErrorView):
    """An error of `shared.errors` on the wire; `retry_after` in seconds."""

    retry_after: float | None = None


class Reply(Payload):
    """The answer to a command or query whose sender waits: `result` or `error`, never both."""

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
    ReadChanges,
    ReadHeads,
    ReadHistory,
    ListSessions,
    ListChatbots,
    IsTurnOpen,
    SearchMessages,
    ExportUser,
)
