"""Commands: they change a session and go through its partition of `chat.log`, in order.

Where a sender waits, `→` names the result of the `Reply` that it gets. A command is known by its envelope's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import ValidationError

from shared.contracts.payload import Payload, Timestamp, utc_now
from shared.contracts.views import ErrorView, MessageStatus, ReplyPolicy


class StartSession(Payload):
    """Create a session; its sender waits for a `Reply` whose result is `SessionResult`.

    `chatbot_ids` `None` means the default chatbot. An id that exists already is answered with what it is.
    """

    TYPE: ClassVar[str] = "backchat.session.start.v1"

    session_id: UUID
    user_id: str
    title: str | None
    chatbot_ids: list[str] | None
    reply_policy: ReplyPolicy
    created_at: Timestamp


class SendMessage(Payload):
    """Store a user's message. Nobody waits: a refusal travels as `MessageRejected`."""

    TYPE: ClassVar[str] = "backchat.message.send.v1"

    session_id: UUID
    message_id: UUID
    user_id: str
    content: str
    client_message_id: str | None
    reply_to: UUID | None
    created_at: Timestamp


class FinishReply(Payload):
    """Store a chatbot's reply and end its turn. `message_id` is the turn's."""

    TYPE: ClassVar[str] = "backchat.reply.finish.v1"

    session_id: UUID
    message_id: UUID
    chatbot_id: str
    attempt: int
    content: str
    status: MessageStatus
    error: ErrorView | None
    created_at: Timestamp

    @classmethod
    def empty(
        cls,
        session_id: UUID,
        message_id: UUID,
        chatbot_id: str,
        *,
        status: MessageStatus,
        error: ErrorView | None = None,
    ) -> Self:
        """Return the reply of attempt 0 without text: it ends a turn that no attempt of a chatbot finished."""
        return cls(
            session_id=session_id,
            message_id=message_id,
            chatbot_id=chatbot_id,
            attempt=0,
            content="",
            status=status,
            error=error,
            created_at=utc_now(),
        )

    @classmethod
    def failed(cls, data: Mapping[str, Any], error: ErrorView) -> Self | None:
        """Return the empty failed reply to the turn that an unreadable payload names.

        `data` is the payload of a turn or of a reply. `None` if its ids are missing or invalid.
        """
        try:
            ids = (data["session_id"], data["message_id"], data["chatbot_id"])
            return cls.empty(*ids, status="failed", error=error)
        except (KeyError, ValidationError):
            return None


class UpdateSession(Payload):
    """Change the title (any member) or the reply policy (its owner); `None` leaves it. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.update.v1"

    session_id: UUID
    user_id: str
    title: str | None
    reply_policy: ReplyPolicy | None


class DeleteSession(Payload):
    """Delete a session, by its owner; its row stays as a tombstone. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.session.delete.v1"

    session_id: UUID
    user_id: str


class AddChatbot(Payload):
    """Let a chatbot of the catalogue take part, by the owner. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.chatbot.add.v1"

    session_id: UUID
    user_id: str
    chatbot_id: str


class RemoveChatbot(Payload):
    """Let a chatbot take part no more, by the owner. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.chatbot.remove.v1"

    session_id: UUID
    user_id: str
    chatbot_id: str


class CreateInvite(Payload):
    """Keep an invite of the owner's; only its SHA-256 (hexadecimal) travels. `max_uses` `None`: any. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.invite.create.v1"

    session_id: UUID
    user_id: str
    invite_hash: str
    expires_at: Timestamp
    max_uses: int | None


class AcceptInvite(Payload):
    """Become a member. By a member: no use is taken. Unknown, ended, used up: `not_found`. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.invite.accept.v1"

    session_id: UUID
    user_id: str
    invite_hash: str


class LeaveSession(Payload):
    """Cease to be a member; the owner's leaving passes the session on, the last one's deletes it. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.session.leave.v1"

    session_id: UUID
    user_id: str


class RemoveUser(Payload):
    """End another's membership, by the owner, and all open invites with it. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.user.remove.v1"

    session_id: UUID
    user_id: str
    removed_id: str


class StopReply(Payload):
    """Keep on the turn that its reply is to stop; one that has ended stays as it is. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.reply.stop.v1"

    session_id: UUID
    user_id: str
    message_id: UUID


class RegenerateReply(Payload):
    """Answer once more what a reply answers; the new reply supersedes it. → `RegenerateResult`"""

    TYPE: ClassVar[str] = "backchat.reply.regenerate.v1"

    session_id: UUID
    user_id: str
    message_id: UUID


class EditMessage(Payload):
    """Change the author's last message and have it answered anew. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.message.edit.v1"

    session_id: UUID
    user_id: str
    message_id: UUID
    content: str


class RateReply(Payload):
    """Keep a member's opinion of a reply: 1, -1, or 0 for none. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.reply.rate.v1"

    session_id: UUID
    user_id: str
    message_id: UUID
    rating: Literal[-1, 0, 1]
    comment: str | None


class MarkRead(Payload):
    """Keep how far a member has read; it only grows, and never beyond the newest number. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.session.read.mark.v1"

    session_id: UUID
    user_id: str
    seq: int


class SummarizeSession(Payload):
    """Keep what a chatbot's language model made of all messages up to a place, for its further turns. Nobody waits.

    It was made of what the session was at number `as_of`: if one of those messages has changed since, it is dropped.
    """

    TYPE: ClassVar[str] = "backchat.session.summarize.v1"

    session_id: UUID
    chatbot_id: str
    up_to_seq: int
    as_of: int
    text: str


class EraseAuthor(Payload):
    """Erase what a deleted account wrote in one session after a place, and its membership. Nobody waits."""

    TYPE: ClassVar[str] = "backchat.author.erase.v1"

    session_id: UUID
    user_id: str
    after_seq: int = 0


COMMANDS: tuple[type[Payload], ...] = (
    StartSession,
    SendMessage,
    FinishReply,
    UpdateSession,
    DeleteSession,
    AddChatbot,
    RemoveChatbot,
    CreateInvite,
    AcceptInvite,
    LeaveSession,
    RemoveUser,
    StopReply,
    RegenerateReply,
    EditMessage,
    RateReply,
    MarkRead,
    SummarizeSession,
    EraseAuthor,
)
