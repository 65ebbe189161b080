"""Commands change a session. They go through its partition of `chat.log`, in order.

`→` names the result in the `Reply` to the sender; without it there is no reply. The envelope's id identifies a command.
`scopes` are those of a service (`shared.contracts.scopes`); `None` for a user.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self
from uuid import UUID

from shared.contracts.envelope import MalformedEvent, Received
from shared.contracts.payload import Model, Payload, Timestamp, rfc3339_now
from shared.contracts.views import ErrorView, MessageStatus, ReplyPolicy


class StartSession(Payload):
    """Create a session. → `StartResult`

    `chatbot_ids` `None` means the default chatbot. If the id exists, the existing session is returned. `users` are its
    members instead of the sender, who is a service; the first one owns it.
    """

    TYPE: ClassVar[str] = "backchat.session.start.v1"

    session_id: UUID
    user_id: str
    title: str | None
    chatbot_ids: list[str] | None
    reply_policy: ReplyPolicy
    created_at: Timestamp
    users: list[str] | None = None
    scopes: list[str] | None = None


class SendMessage(Payload):
    """Store a user's message. A refusal is published as `MessageRejected`."""

    TYPE: ClassVar[str] = "backchat.message.send.v1"

    session_id: UUID
    message_id: UUID
    user_id: str
    content: str
    client_message_id: str | None
    reply_to: UUID | None
    created_at: Timestamp
    scopes: list[str] | None = None


class _TurnIds(Model):
    """The fields that name a turn, in its payload and in that of its reply."""

    session_id: UUID
    message_id: UUID
    chatbot_id: str


class FinishReply(Payload):
    """Store a chatbot's reply and end its turn. `message_id` is that of the turn."""

    TYPE: ClassVar[str] = "backchat.reply.finish.v1"

    session_id: UUID
    message_id: UUID
    chatbot_id: str
    attempt: int
    content: str
    status: MessageStatus
    error: ErrorView | None
    created_at: Timestamp
    reasoning: str = ""

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
            created_at=rfc3339_now(),
        )

    @classmethod
    def failed(cls, unreadable: Received, error: ErrorView) -> Self | None:
        """Return the empty failed reply to the turn that an unreadable turn or reply names.

        `None` if its ids are missing or invalid.
        """
        try:
            turn = unreadable.parse(_TurnIds)
        except MalformedEvent:
            return None
        return cls.empty(turn.session_id, turn.message_id, turn.chatbot_id, status="failed", error=error)


class UpdateSession(Payload):
    """Change the title (by any member) or the reply policy (by the owner); `None` changes nothing. → `SessionResult`

    `if_seq`: the accepted values of `Session.seq`; with any other the answer is `conflict`.
    """

    TYPE: ClassVar[str] = "backchat.session.update.v1"

    session_id: UUID
    user_id: str
    title: str | None
    reply_policy: ReplyPolicy | None
    if_seq: list[int] | None = None
    scopes: list[str] | None = None


class DeleteSession(Payload):
    """Delete a session, by its owner; its row remains as a tombstone. `if_seq`: as in `UpdateSession`. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.session.delete.v1"

    session_id: UUID
    user_id: str
    if_seq: list[int] | None = None
    scopes: list[str] | None = None


class AddChatbot(Payload):
    """Add a chatbot of the catalogue, by the owner. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.chatbot.add.v1"

    session_id: UUID
    user_id: str
    chatbot_id: str
    scopes: list[str] | None = None


class RemoveChatbot(Payload):
    """Remove a chatbot, by the owner. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.chatbot.remove.v1"

    session_id: UUID
    user_id: str
    chatbot_id: str
    scopes: list[str] | None = None


class CreateInvite(Payload):
    """Store the hexadecimal SHA-256 of an invite, by the owner. `max_uses` `None`: no limit. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.invite.create.v1"

    session_id: UUID
    user_id: str
    invite_hash: str
    expires_at: Timestamp
    max_uses: int | None
    scopes: list[str] | None = None


class AcceptInvite(Payload):
    """Become a member; members use up nothing. `not_found` if unknown, expired or used up. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.invite.accept.v1"

    session_id: UUID
    user_id: str
    invite_hash: str


class LeaveSession(Payload):
    """Leave a session. After the owner, the longest member owns it; after the last one it is deleted. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.session.leave.v1"

    session_id: UUID
    user_id: str
    scopes: list[str] | None = None


class RemoveUser(Payload):
    """Remove a member and end all open invites, by the owner. → `SessionResult`"""

    TYPE: ClassVar[str] = "backchat.session.user.remove.v1"

    session_id: UUID
    user_id: str
    removed_id: str
    scopes: list[str] | None = None


class StopReply(Payload):
    """Request that a reply stops, by a mark on its turn; no effect on an ended turn. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.reply.stop.v1"

    session_id: UUID
    user_id: str
    message_id: UUID
    scopes: list[str] | None = None


class RegenerateReply(Payload):
    """Request a new reply that supersedes the given one. → `RegenerateResult`"""

    TYPE: ClassVar[str] = "backchat.reply.regenerate.v1"

    session_id: UUID
    user_id: str
    message_id: UUID
    scopes: list[str] | None = None


class EditMessage(Payload):
    """Change the author's last message and regenerate its replies. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.message.edit.v1"

    session_id: UUID
    user_id: str
    message_id: UUID
    content: str
    scopes: list[str] | None = None


class RateReply(Payload):
    """Store a member's rating of a reply: 1, -1, or 0 for none. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.reply.rate.v1"

    session_id: UUID
    user_id: str
    message_id: UUID
    rating: Literal[-1, 0, 1]
    comment: str | None
    scopes: list[str] | None = None


class MarkRead(Payload):
    """Store how far a member has read; never decreases, and never exceeds the newest number. → `Nothing`"""

    TYPE: ClassVar[str] = "backchat.session.read.mark.v1"

    session_id: UUID
    user_id: str
    seq: int
    scopes: list[str] | None = None


class SummarizeSession(Payload):
    """Store a summary of the messages up to `up_to_seq` for the later turns of a chatbot.

    It was written from the session at number `as_of`. If one of its messages has changed after that, it is dropped.
    """

    TYPE: ClassVar[str] = "backchat.session.summarize.v1"

    session_id: UUID
    chatbot_id: str
    up_to_seq: int
    as_of: int
    text: str


class EraseAuthor(Payload):
    """Erase the messages of a deleted account in a session after `after_seq`, and its membership."""

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
