"""Rules of the commands that every turn consists of: a user's message and a chatbot's reply. No I/O."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, UnsetType

from persistence_worker.domain import reply_policy, titles
from persistence_worker.domain.answers import rejection
from persistence_worker.domain.rules.access import writable_session
from persistence_worker.domain.state import SessionState
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import FinishReply, SendMessage
from shared.contracts.envelope import Received
from shared.contracts.ids import is_service
from shared.contracts.views import (
    REASONING_BYTES_MAX,
    REPLY_CONTENT_MAX,
    ErrorView,
    Message,
    MessageStatus,
    ReasoningPart,
)
from shared.errors import Forbidden, NotFound

TOO_LONG = ErrorView(code="too_long", message="The reply was longer than allowed and was cut.")


def send(work: UnitOfWork, command: SendMessage, envelope: Received) -> None:
    """Store a user's message, and open turns for the chatbots that answer it.

    A message id that is known already changes nothing. A message that may not be stored is rejected as `not_found`.
    """
    session = work.loaded.sessions.get(command.session_id)
    if command.message_id in work.loaded.message_sessions:
        if session is not None:
            work.repeat(session, envelope)
        return
    try:
        session = writable_session(work, command, "send")
    except (NotFound, Forbidden) as error:
        work.deliver(rejection(command, error.code), envelope)
        return
    message = work.store_message(
        session,
        envelope,
        command.message_id,
        sender_type="user",
        sender_id=command.user_id,
        content=command.content,
        created_at=command.created_at,
        client_message_id=command.client_message_id,
        reply_to=_in_session(work, session, command.reply_to),
    )
    chatbots = reply_policy.answering(session.reply_policy, session.chatbots, command.content, session.rotation)
    depth = _depth(work, message)
    if depth >= reply_policy.CHAIN_MAX:
        return
    if chatbots and session.reply_policy == "round_robin":
        session.rotation += 1
    for chatbot in chatbots:
        work.request_reply(session, chatbot, message, envelope, depth=depth)


def _depth(work: UnitOfWork, message: Message) -> int:
    """Return the depth of the turns that a message opens.

    A service that answers a chatbot is a link of the chain, so that two programs do not answer each other endlessly.
    """
    if message.reply_to is None or message.reply_to not in work.loaded.depths or not is_service(message.sender_id):
        return 0
    return work.loaded.depths[message.reply_to] + 1


def _in_session(work: UnitOfWork, session: SessionState, message_id: UUID | None) -> UUID | None:
    known = message_id is not None and work.loaded.message_sessions.get(message_id) == session.id
    return message_id if known else None


def finish(work: UnitOfWork, command: FinishReply, envelope: Received) -> None:
    """Store a chatbot's reply and close its turn. Only the first reply to an open turn is stored."""
    session = work.loaded.sessions.get(command.session_id)
    if session is None:
        return
    turn = session.turns.get(command.chatbot_id)
    if turn is None or turn.id != command.message_id:
        work.repeat(session, envelope)
        return
    content, status, error = as_stored(command.content, command.status, command.error)
    reply = work.store_message(
        session,
        envelope,
        turn.id,
        sender_type="chatbot",
        sender_id=turn.chatbot_id,
        content=content,
        created_at=command.created_at,
        reply_to=turn.reply_to,
        status=status,
        error=error,
        parts=parts_of(command.reasoning),
    )
    work.close_turn(session, turn, envelope)
    if status == "complete" and content:  # a chatbot may decide to say nothing
        depth = turn.depth
        policy, chatbots = session.reply_policy, session.chatbots
        for chatbot in reply_policy.answering_chatbot(policy, chatbots, turn.chatbot_id, reply.content, depth):
            work.request_reply(session, chatbot, reply, envelope, depth=depth + 1)
    if session.title is None:
        _set_title(work, session, envelope)


def as_stored(
    content: str, status: MessageStatus, error: ErrorView | None
) -> tuple[str, MessageStatus, ErrorView | None]:
    """Return a reply without NUL (PostgreSQL cannot store it), and stopped where it exceeds `REPLY_CONTENT_MAX`."""
    content = content.replace("\x00", "")
    if len(content) > REPLY_CONTENT_MAX:
        return content[:REPLY_CONTENT_MAX], "stopped", TOO_LONG
    return content, status, error


def parts_of(reasoning: str) -> list[ReasoningPart] | UnsetType:
    """Return the parts of a reply, without NUL and within `REASONING_BYTES_MAX`."""
    text = reasoning.replace("\x00", "").encode(errors="replace")[:REASONING_BYTES_MAX].decode(errors="ignore")
    return [ReasoningPart(text=text)] if text else UNSET


def _set_title(work: UnitOfWork, session: SessionState, envelope: Received) -> None:
    if session.title_source is None:
        return
    text, author = session.title_source
    session.title = titles.title_from(text)
    if session.title is None:
        return
    session.titled_by = author
    work.change_session(session, envelope)
