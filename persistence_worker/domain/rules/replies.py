"""Replies stopped, given anew and rated, and messages edited: the rules of these commands. No I/O.

A rule answers, or raises a `BackchatError` before it has changed anything. Regenerating and editing look back into
a session, so each has a transaction of its own (`ALONE`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from persistence_worker.domain import reply_policy
from persistence_worker.domain.context import end
from persistence_worker.domain.rules.sessions import joined
from persistence_worker.domain.state import Rating, SessionState, Turn, holds, merged
from persistence_worker.domain.unit_of_work import Work
from shared.contracts.commands import EditMessage, RateReply, RegenerateReply, StopReply
from shared.contracts.envelope import Received
from shared.contracts.payload import Model, Payload
from shared.contracts.queries import Nothing, RegenerateResult
from shared.contracts.views import Message
from shared.errors import Conflict, Forbidden, NotFound

STOP_GRACE = timedelta(seconds=3)  # in which a worker can store the text so far
NO_MESSAGE = "There is no such message."


def stop(work: Work, command: StopReply, _received: Received) -> Nothing:
    """Kept on the turn; a reply that has ended stays as it is."""
    session = joined(work, command)
    turn = _turn(session, command.message_id)
    if turn is None:
        _reply(work, session, command.message_id)
        return Nothing()
    if turn.stop_at is None:
        turn.stop_at = work.now + STOP_GRACE
        work.touch(turn)
    work.stop(turn)
    return Nothing()


def stop_again(work: Work, session: SessionState, command: Payload) -> None:
    """After a crash no worker may have heard of a stop."""
    if isinstance(command, StopReply):
        turn = _turn(session, command.message_id)
        if turn is not None:
            work.stop(turn)


def rate(work: Work, command: RateReply, _received: Received) -> Nothing:
    """Kept for the operator."""
    session = joined(work, command)
    _reply(work, session, command.message_id)
    rating = Rating(session.id, command.rating, command.comment)
    work.writes.ratings[command.message_id, command.user_id] = rating
    return Nothing()


def regenerate(work: Work, command: RegenerateReply, received: Received) -> RegenerateResult:
    """Answer anew what a reply answers, with no more of the session in view than it had."""
    session = joined(work, command)
    if _turn(session, command.message_id) is not None:
        raise Conflict("This reply is still under way; stop it first.")
    reply = _reply(work, session, command.message_id)
    if reply.superseded_by is not None:
        return RegenerateResult(message_id=reply.superseded_by)
    chatbot = reply.sender_id
    answered = work.loaded.history.turns.get(reply.id)
    if answered is None or chatbot not in session.chatbots or work.catalogue.card(chatbot) is None:
        raise Conflict("This chatbot does not take part any more.")
    if chatbot in session.turns:
        raise Conflict("This chatbot is giving another reply; try again when it has ended.")
    new_id = uuid4()
    work.change(session, reply, received, superseded_by=new_id)
    _open_anew(work, session, answered, reply, received, new_id)
    return RegenerateResult(message_id=new_id)


def _open_anew(
    work: Work, session: SessionState, answered: Turn, reply: Message, received: Received, new_id: UUID
) -> None:
    work.open(
        session,
        answered.chatbot_id,
        answered.reply_to,
        answered.asked,
        received,
        depth=answered.depth,
        until=min(end(answered), reply.seq),
        turn_id=new_id,
    )


@dataclass(slots=True)
class Answered:
    """What one chatbot has answered, or is answering, to an edited message."""

    under_way: Turn | None
    replies: list[tuple[Message, Turn]]

    def alone(self, seq: int) -> bool:
        """Whether it answers nothing but the message at `seq`."""
        turns = [turn for _, turn in self.replies] + ([self.under_way] if self.under_way else [])
        return all(turn.asked == [[seq, seq]] for turn in turns)


def edit(work: Work, command: EditMessage, received: Received) -> Nothing:
    """Change the author's last message; what was answered to it is superseded and answered anew."""
    session = joined(work, command)
    message = work.message(session, command.message_id)
    if message is None:
        raise NotFound(NO_MESSAGE)
    if message.sender_type != "user" or message.sender_id != command.user_id:
        raise Forbidden("Only its author may edit a message.")
    if not work.loaded.history.is_last:
        raise Conflict("Only your last message in a session can be edited.")
    if message.content == command.content:
        return Nothing()
    work.change(session, message, received, content=command.content)
    answered = {chatbot: _answered(work, session, chatbot, message.seq) for chatbot in session.chatbots}
    answered = {chatbot: each for chatbot, each in answered.items() if each.under_way or each.replies}
    if not answered:
        return Nothing()
    anew = [chatbot for chatbot, each in answered.items() if not each.alone(message.seq)]
    if session.reply_policy == "mentioned":  # the new words may name others
        anew = reply_policy.answering("mentioned", session.chatbots, command.content, 0) + anew
    else:
        anew = list(answered)
    first: UUID | None = None
    for chatbot in dict.fromkeys(anew):
        new_id = _answer_anew(work, session, chatbot, message, answered.get(chatbot), received)
        first = first or new_id
    for chatbot, each in answered.items():
        if chatbot not in anew and first is not None:
            _give_up(work, session, each, received, first)
    return Nothing()


def _answered(work: Work, session: SessionState, chatbot: str, seq: int) -> Answered:
    turn = session.turns.get(chatbot)
    found = Answered(turn if turn is not None and holds(turn.asked, seq) else None, [])
    for reply in work.loaded.history.messages:
        turn = work.loaded.history.turns[reply.id]
        if reply.sender_id == chatbot and holds(turn.asked, seq):
            found.replies.append((reply, turn))
    return found


def _answer_anew(
    work: Work, session: SessionState, chatbot: str, message: Message, answered: Answered | None, received: Received
) -> UUID | None:
    """The id of the reply that a chatbot will give; of one that it would have given anyway, none."""
    busy = session.turns.get(chatbot)
    if answered is None:
        if busy is None:
            work.ask(session, chatbot, message, received)
            return session.turns[chatbot].id
        return _queue(work, busy, [[message.seq, message.seq]], message.id)
    if answered.under_way is not None:
        new_id = _replace(work, session, answered.under_way, received)
    elif busy is not None:
        turn = answered.replies[-1][1]
        new_id = _queue(work, busy, turn.asked, turn.reply_to)
    else:
        reply, turn = answered.replies[-1]
        new_id = uuid4()
        _open_anew(work, session, turn, reply, received, new_id)
    for reply, _ in answered.replies:
        work.change(session, reply, received, superseded_by=new_id)
    return new_id


def _replace(work: Work, session: SessionState, turn: Turn, received: Received) -> UUID:
    """A turn begins anew; what waited for the old one's end waits for the new one's."""
    new_id = uuid4()
    work.cut(session, turn, received, reply_to=turn.reply_to, superseded_by=new_id)
    work.end(session, turn)
    new = work.open(
        session,
        turn.chatbot_id,
        turn.reply_to,
        turn.asked,
        received,
        depth=turn.depth,
        until=turn.until,
        turn_id=new_id,
    )
    new.waiting, new.waiting_reply_to = turn.waiting, turn.waiting_reply_to
    new.waiting_depth, new.waiting_id = turn.waiting_depth, turn.waiting_id
    return new_id


def _queue(work: Work, busy: Turn, asked: list[list[int]], reply_to: UUID) -> UUID:
    """The next turn answers this too."""
    busy.waiting = merged(busy.waiting, asked)
    busy.waiting_reply_to = busy.waiting_reply_to or reply_to
    busy.waiting_depth = 0
    busy.waiting_id = busy.waiting_id or uuid4()
    work.touch(busy)
    return busy.waiting_id


def _give_up(work: Work, session: SessionState, answered: Answered, received: Received, new_id: UUID) -> None:
    """The edited message does not ask this chatbot any more."""
    turn = answered.under_way
    if turn is not None:
        work.cut(session, turn, received, reply_to=turn.reply_to, superseded_by=new_id)
        work.close(session, turn, received)
    for reply, _ in answered.replies:
        work.change(session, reply, received, superseded_by=new_id)


def _turn(session: SessionState, message_id: UUID) -> Turn | None:
    return next((turn for turn in session.turns.values() if turn.id == message_id), None)


def _reply(work: Work, session: SessionState, message_id: UUID) -> Message:
    message = work.message(session, message_id)
    if message is None or message.sender_type != "chatbot":
        raise NotFound(NO_MESSAGE)
    return message


RULES: dict[type[Payload], Callable[[Work, Any, Received], Model]] = {
    StopReply: stop,
    RegenerateReply: regenerate,
    EditMessage: edit,
    RateReply: rate,
}

ALONE: frozenset[type[Payload]] = frozenset({RegenerateReply, EditMessage})
