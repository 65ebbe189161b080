"""A batch of commands applied, in order, to sessions in memory. No I/O.

Messages, replies and new sessions are known by their own keys, so the path of every message costs no look-up more.
All other commands are known by their envelope's id: a repeated one gets the first answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from persistence_worker.domain import reply_policy, titles, views
from persistence_worker.domain.answers import answered_before, refusal, rejection, result
from persistence_worker.domain.context import Contexts
from persistence_worker.domain.rules import erasure, replies, sessions, summaries
from persistence_worker.domain.state import SessionState, Turn
from persistence_worker.domain.unit_of_work import Work
from shared.contracts.commands import COMMANDS, FinishReply, SendMessage, StartSession
from shared.contracts.envelope import Received
from shared.contracts.events import SessionHead, SessionUpdated
from shared.contracts.payload import Model, Payload
from shared.contracts.queries import SessionResult
from shared.contracts.views import Message
from shared.errors import BackchatError, Conflict, NotFound, Unavailable

NO_CATALOGUE = "No chatbot has announced itself yet."
CATALOGUE_RETRY = 2.0  # seconds
TURN_HEARD = timedelta(seconds=30)  # after a publication, in which a resent command does not publish the turn again

TYPES: dict[str, type[Payload]] = {command.TYPE: command for command in COMMANDS}

RULES: dict[type[Payload], Callable[[Work, Any, Received], Model]] = (
    sessions.RULES | replies.RULES | erasure.RULES | summaries.RULES
)
"""Commands that change something and answer, or raise a `BackchatError` before they have changed anything."""

UNKEPT = sessions.UNKEPT | erasure.UNKEPT | summaries.UNKEPT
"""Those of them that change nothing the second time by their own nature: their ids need not be kept."""

ALONE = replies.ALONE | erasure.ALONE
"""Those that look back into a session: each has a transaction of its own, which sees all that was written before."""


class MissingRule(Exception):
    """A command type of the contract has no rule in `RULES`. The message names the type."""

    def __init__(self, command: type[Payload]) -> None:
        super().__init__(f"no rule for {command.TYPE}")


@dataclass(frozen=True, slots=True)
class Order:
    """One command with the envelope that it came in.

    `redelivered`: it may have been committed before without anybody being told.
    """

    received: Received
    command: Any  # one of `COMMANDS`
    redelivered: bool = False


def runs(orders: Sequence[Order]) -> Iterator[Sequence[Order]]:
    """The same, in order, by what may share a transaction."""
    begin = 0
    for n, order in enumerate(orders):
        if type(order.command) in ALONE:
            if n > begin:
                yield orders[begin:n]
            yield orders[n : n + 1]
            begin = n + 1
    if begin < len(orders):
        yield orders[begin:]


@dataclass(slots=True)
class Batch(Work):
    """Everything that follows from the orders given to `apply`."""

    _told_again: dict[UUID, Received] = field(default_factory=dict)
    _redelivered: set[str] = field(default_factory=set)
    _unheard: set[UUID] = field(default_factory=set)  # sessions of which nobody may have heard the last change

    def apply(self, order: Order) -> None:
        """Apply one command."""
        if order.redelivered:
            self._redelivered.add(order.received.id)
        match order.command:
            case SendMessage():
                self._send(order.command, order.received)
            case FinishReply():
                self._finish(order.command, order.received)
            case StartSession():
                self._start(order.command, order.received)
            case _:
                self._follow(order.command, order.received)

    def conclude(self) -> None:
        """Tell again what commands found already applied: heads, and open turns of earlier batches.

        Turns cost a context each and room in their queue: whoever sends a message again and again gets heads alone.
        """
        for session_id, received in self._told_again.items():
            session = self.loaded.sessions[session_id]
            if session.deleted_at is not None:
                continue
            self.deliver(SessionHead(session_id=session.id, last_seq=session.last_seq), received)
            for turn in session.turns.values():
                heard = session_id not in self._unheard and turn.published_at > self.now - TURN_HEARD
                if not turn.new and turn.stop_at is None and not heard:
                    self.publish_again(turn)

    def _tell_again(self, session: SessionState, received: Received) -> None:
        """This command was applied before."""
        self._told_again.setdefault(session.id, received)
        if received.id in self._redelivered:
            self._unheard.add(session.id)

    def _follow(self, command: Any, received: Received) -> None:
        """Apply one of `RULES`, once."""
        session = self.loaded.sessions.get(command.session_id)
        if received.id in self.loaded.applied:
            self.answers.append((received, answered_before(self.loaded.applied[received.id])))
            if session is not None:
                sessions.tell_again(self, session, command, received)
                replies.stop_again(self, session, command)
                self._tell_again(session, received)
            return
        rule = RULES.get(type(command))
        if rule is None:
            raise MissingRule(type(command))
        try:
            reply = result(rule(self, command, received))
        except BackchatError as error:
            reply = refusal(error)
            if isinstance(error, Unavailable):  # not done: it may still be
                self.answers.append((received, reply))
                return
        self.answers.append((received, reply))
        if type(command) not in UNKEPT:
            self.loaded.applied[received.id] = text = reply.model_dump_json()
            self.writes.answers.append((received.id, command.session_id, text))

    def _start(self, command: StartSession, received: Received) -> None:
        session = self.loaded.sessions.get(command.session_id)
        try:
            if session is None:
                session = self._create(command, received)
            elif session.deleted_at is not None or command.user_id not in session.users:
                raise NotFound(sessions.NO_SESSION)
            else:
                self._tell_again(session, received)
                if received.id in self._redelivered:  # its creation has no number that anybody could miss
                    self.tell(session, received)
        except BackchatError as error:
            self.answers.append((received, refusal(error)))
            return
        self.answers.append((received, result(SessionResult(session=views.session(session, self.catalogue)))))

    def _create(self, command: StartSession, received: Received) -> SessionState:
        if command.user_id in self.loaded.erased:
            raise NotFound(sessions.NO_SESSION)
        session = SessionState(
            id=command.session_id,
            title=command.title,
            titled_by=None if command.title is None else command.user_id,
            owner_id=command.user_id,
            reply_policy=command.reply_policy,
            rotation=0,
            seq=0,
            last_seq=0,
            created_at=command.created_at,
            updated_at=command.created_at,
            deleted_at=None,
            users=[command.user_id],
            chatbots=self._chosen(command.chatbot_ids),
            new=True,
        )
        self.loaded.sessions[session.id] = session
        self.writes.joined[session.id, command.user_id] = command.created_at
        self.deliver(SessionUpdated(session=views.session(session, self.catalogue)), received)
        return session

    def _chosen(self, wanted: list[str] | None) -> list[str]:
        if not self.catalogue.known:
            raise Unavailable(NO_CATALOGUE, retry_after=CATALOGUE_RETRY)
        if wanted is None:
            default = self.catalogue.default
            return [default] if default else []
        chosen = list(dict.fromkeys(wanted))
        if any(self.catalogue.card(chatbot) is None for chatbot in chosen):
            raise NotFound(sessions.NO_CHATBOT)
        if len(chosen) > self.limits.chatbots:
            raise Conflict(sessions.too_many_chatbots(self))
        return chosen

    def _send(self, command: SendMessage, received: Received) -> None:
        session = self.loaded.sessions.get(command.session_id)
        if command.message_id in self.loaded.known:  # the first content wins
            if session is not None:
                self._tell_again(session, received)
            return
        if session is None or session.deleted_at is not None or command.user_id not in session.users:
            self.deliver(rejection(command, NotFound.code), received)
            return
        seq = session.next_seq(self.now)
        message = Message(
            id=command.message_id,
            session_id=session.id,
            seq=seq,
            updated_seq=seq,
            sender_type="user",
            sender_id=command.user_id,
            content=command.content,
            created_at=command.created_at,
            client_message_id=command.client_message_id,
            reply_to=self._within(session, command.reply_to),
        )
        self.store(message, received)
        asked = reply_policy.answering(session.reply_policy, session.chatbots, command.content, session.rotation)
        if asked and session.reply_policy == "round_robin":
            session.rotation += 1
        for chatbot in asked:
            self.ask(session, chatbot, message, received)

    def _within(self, session: SessionState, reply_to: UUID | None) -> UUID | None:
        return reply_to if reply_to is not None and self.loaded.known.get(reply_to) == session.id else None

    def _finish(self, command: FinishReply, received: Received) -> None:
        session = self.loaded.sessions.get(command.session_id)
        if session is None:
            return
        turn = session.turns.get(command.chatbot_id)
        if turn is None or turn.id != command.message_id:  # the first finished reply was stored
            self._tell_again(session, received)
            return
        content, status, error = reply_policy.as_stored(command.content, command.status, command.error)
        seq = session.next_seq(self.now)
        reply = Message(
            id=turn.id,
            session_id=session.id,
            seq=seq,
            updated_seq=seq,
            sender_type="chatbot",
            sender_id=turn.chatbot_id,
            content=content,
            created_at=command.created_at,
            reply_to=turn.reply_to,
            status=status,
            error=error,
        )
        self.store(reply, received)
        self.close(session, turn, received)
        if status == "complete":
            self._call_upon(session, turn, reply, received)
        if session.title is None:
            self._name(session, received)

    def _call_upon(self, session: SessionState, turn: Turn, reply: Message, received: Received) -> None:
        named = reply_policy.called_upon(
            session.reply_policy, session.chatbots, turn.chatbot_id, reply.content, turn.depth
        )
        for chatbot in named:
            self.ask(session, chatbot, reply, received, depth=turn.depth + 1)

    def _name(self, session: SessionState, received: Received) -> None:
        if session.first_words is None:
            return
        words, author = session.first_words
        session.title = titles.title_from(words)
        if session.title is None:
            return
        session.titled_by = author
        self.number(session, received)


@dataclass(frozen=True, slots=True)
class Applied:
    """A committed batch and the contexts of the turns that it starts."""

    batch: Batch
    contexts: Contexts
