"""Rules of the commands that stop, rate and regenerate a chatbot's reply. No I/O."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from persistence_worker.domain.context import context_end
from persistence_worker.domain.rules.access import joined_session, writable_session
from persistence_worker.domain.state import Rating, SessionState, Turn
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import RateReply, RegenerateReply, StopReply
from shared.contracts.envelope import Received
from shared.contracts.queries import Nothing, RegenerateResult
from shared.contracts.views import Message
from shared.errors import Conflict, NotFound

STOP_GRACE = timedelta(seconds=3)  # in which a chatbot worker can store the text so far
NO_MESSAGE = "There is no such message."


def stop(work: UnitOfWork, command: StopReply, _envelope: Received) -> Nothing:
    """Mark an open turn as to be stopped, and publish the stop; a finished reply does not change."""
    session = writable_session(work, command, "stop")
    turn = open_turn(session, command.message_id)
    if turn is None:
        _reply(work, session, command.message_id)
        return Nothing()
    if turn.stop_at is None:
        turn.stop_at = work.now + STOP_GRACE
        work.save_turn(turn)
    work.stop_turn(turn)
    return Nothing()


def rate(work: UnitOfWork, command: RateReply, _envelope: Received) -> Nothing:
    """Store a member's rating of a reply, for the operator; a later one replaces it."""
    session = joined_session(work, command)
    _reply(work, session, command.message_id)
    rating = Rating(session.id, command.rating, command.comment)
    work.writes.ratings[command.message_id, command.user_id] = rating
    return Nothing()


def regenerate(work: UnitOfWork, command: RegenerateReply, envelope: Received) -> RegenerateResult:
    """Supersede a reply by a new turn that has the same messages to answer and the same context."""
    session = writable_session(work, command, "regenerate")
    if open_turn(session, command.message_id) is not None:
        raise Conflict("This reply is still in progress; stop it first.")
    reply = _reply(work, session, command.message_id)
    if reply.superseded_by is not None:
        return RegenerateResult(message_id=reply.superseded_by)
    chatbot = reply.sender_id
    answered = work.loaded.history.turns.get(reply.id)
    if answered is None or chatbot not in session.chatbots or work.catalogue.card(chatbot) is None:
        raise Conflict("This chatbot does not take part any more.")
    if chatbot in session.turns:
        raise Conflict("This chatbot is writing another reply; try again when it has ended.")
    new_id = uuid4()
    work.change_message(session, reply, envelope, superseded_by=new_id)
    reopen_turn(work, session, answered, reply, envelope, new_id)
    return RegenerateResult(message_id=new_id)


def reopen_turn(
    work: UnitOfWork, session: SessionState, answered: Turn, reply: Message, envelope: Received, new_id: UUID
) -> None:
    """Open a turn that answers what `answered` did; its context ends before `reply`, the old reply."""
    work.open_turn(
        session,
        answered.chatbot_id,
        answered.reply_to,
        answered.asked,
        envelope,
        depth=answered.depth,
        until=min(context_end(answered), reply.seq),
        turn_id=new_id,
    )


def open_turn(session: SessionState, message_id: UUID) -> Turn | None:
    """Return the open turn of a session with this id."""
    return next((turn for turn in session.turns.values() if turn.id == message_id), None)


def _reply(work: UnitOfWork, session: SessionState, message_id: UUID) -> Message:
    message = work.message(session, message_id)
    if message is None or message.sender_type != "chatbot":
        raise NotFound(NO_MESSAGE)
    return message
