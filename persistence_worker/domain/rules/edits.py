"""The rule of `EditMessage`: change a user's last message, and have it answered again. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from persistence_worker.domain import reply_policy
from persistence_worker.domain.rules.access import writable_session
from persistence_worker.domain.rules.replies import NO_MESSAGE, reopen_turn
from persistence_worker.domain.state import SessionState, Turn, contains, merged
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import EditMessage
from shared.contracts.envelope import Received
from shared.contracts.queries import Nothing
from shared.contracts.views import Message
from shared.errors import Conflict, Forbidden, NotFound


@dataclass(slots=True)
class ChatbotAnswers:
    """The answers of one chatbot to an edited message: finished replies with their turns, and the open turn."""

    open_turn: Turn | None
    replies: list[tuple[Message, Turn]]

    @property
    def turns(self) -> list[Turn]:
        """The turns of all answers."""
        return [turn for _, turn in self.replies] + ([self.open_turn] if self.open_turn else [])

    def answer_only(self, seq: int) -> bool:
        """Whether they answer no message but the one numbered `seq`."""
        return all(turn.asked == [[seq, seq]] for turn in self.turns)


def edit(work: UnitOfWork, command: EditMessage, envelope: Received) -> Nothing:
    """Change the author's last message; the replies to it are superseded by new ones."""
    session = writable_session(work, command, "edit")
    message = work.message(session, command.message_id)
    if message is None:
        raise NotFound(NO_MESSAGE)
    if message.sender_type != "user" or message.sender_id != command.user_id:
        raise Forbidden("Only its author may edit a message.")
    if not work.loaded.history.is_last:
        raise Conflict("Only your last message in a session can be edited.")
    if message.content == command.content:
        return Nothing()
    work.change_message(session, message, envelope, content=command.content)
    answers = {chatbot: _answers(work, session, chatbot, message.seq) for chatbot in session.chatbots}
    answers = {chatbot: each for chatbot, each in answers.items() if each.open_turn or each.replies}
    if not answers:
        return Nothing()
    first: UUID | None = None
    depth = min(turn.depth for each in answers.values() for turn in each.turns)
    answering = _answering(session, command.content, message.seq, answers)
    for chatbot in answering:
        new_id = _answer(work, session, chatbot, message, answers.get(chatbot), envelope, depth)
        first = first or new_id
    for chatbot, each in answers.items():
        if chatbot not in answering and first is not None:
            _withdraw(work, session, each, envelope, first)
    return Nothing()


def _answering(session: SessionState, content: str, seq: int, answers: dict[str, ChatbotAnswers]) -> list[str]:
    """Return the chatbots that answer the new text. With `mentioned` it may mention others than the old text did."""
    if session.reply_policy != "mentioned":
        return list(answers)
    mentioned = reply_policy.answering("mentioned", session.chatbots, content, 0)
    with_other_messages = [chatbot for chatbot, each in answers.items() if not each.answer_only(seq)]
    return list(dict.fromkeys(mentioned + with_other_messages))


def _answers(work: UnitOfWork, session: SessionState, chatbot: str, seq: int) -> ChatbotAnswers:
    turn = session.turns.get(chatbot)
    found = ChatbotAnswers(turn if turn is not None and contains(turn.asked, seq) else None, [])
    for reply in work.loaded.history.messages:
        turn = work.loaded.history.turns[reply.id]
        if reply.sender_id == chatbot and contains(turn.asked, seq):
            found.replies.append((reply, turn))
    return found


def _answer(
    work: UnitOfWork,
    session: SessionState,
    chatbot: str,
    message: Message,
    answers: ChatbotAnswers | None,
    envelope: Received,
    depth: int,
) -> UUID | None:
    """Let a chatbot answer the new text, and supersede its earlier answers; return the id of the new reply."""
    busy = session.turns.get(chatbot)
    if answers is None:
        if busy is None:
            work.request_reply(session, chatbot, message, envelope, depth=depth)
            return session.turns[chatbot].id
        return _extend_next_turn(work, busy, [[message.seq, message.seq]], message.id, depth)
    if answers.open_turn is not None:
        new_id = _restart_turn(work, session, answers.open_turn, envelope)
    elif busy is not None:
        turn = answers.replies[-1][1]
        new_id = _extend_next_turn(work, busy, turn.asked, turn.reply_to, depth)
    else:
        reply, turn = answers.replies[-1]
        new_id = uuid4()
        reopen_turn(work, session, turn, reply, envelope, new_id)
    for reply, _ in answers.replies:
        work.change_message(session, reply, envelope, superseded_by=new_id)
    return new_id


def _restart_turn(work: UnitOfWork, session: SessionState, turn: Turn, envelope: Received) -> UUID:
    """Replace an open turn by a new one, which is followed by the same next turn."""
    new_id = uuid4()
    work.store_stopped_reply(session, turn, envelope, reply_to=turn.reply_to, superseded_by=new_id)
    work.end_turn(session, turn)
    new = work.open_turn(
        session,
        turn.chatbot_id,
        turn.reply_to,
        turn.asked,
        envelope,
        depth=turn.depth,
        until=turn.until,
        turn_id=new_id,
    )
    new.waiting, new.waiting_reply_to = turn.waiting, turn.waiting_reply_to
    new.waiting_depth, new.waiting_id = turn.waiting_depth, turn.waiting_id
    return new_id


def _extend_next_turn(work: UnitOfWork, busy: Turn, asked: list[list[int]], reply_to: UUID, depth: int) -> UUID:
    """Let the turn after an open one answer these messages too; return its id."""
    busy.waiting = merged(busy.waiting, asked)
    busy.waiting_reply_to = busy.waiting_reply_to or reply_to
    busy.waiting_depth = depth if busy.waiting_depth is None else min(busy.waiting_depth, depth)
    busy.waiting_id = busy.waiting_id or uuid4()
    work.save_turn(busy)
    return busy.waiting_id


def _withdraw(
    work: UnitOfWork, session: SessionState, answers: ChatbotAnswers, envelope: Received, new_id: UUID
) -> None:
    """Supersede the answers of a chatbot that the new text does not ask."""
    turn = answers.open_turn
    if turn is not None:
        work.store_stopped_reply(session, turn, envelope, reply_to=turn.reply_to, superseded_by=new_id)
        work.close_turn(session, turn, envelope)
    for reply, _ in answers.replies:
        work.change_message(session, reply, envelope, superseded_by=new_id)
