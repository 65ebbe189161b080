"""A batch of commands applied, in order, to sessions in memory: what to write, to tell and to answer. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from persistence_worker import sessions, views
from persistence_worker.catalogue import Catalogue
from persistence_worker.state import SessionState, Turn, extended
from persistence_worker.store import Loaded
from shared.contracts.commands import FinishReply, SendMessage, StartSession
from shared.contracts.envelope import Received
from shared.contracts.events import MessageRejected, MessageStored, SessionHead, SessionUpdated
from shared.contracts.payload import Payload
from shared.contracts.queries import Failure, Reply, SessionResult
from shared.contracts.views import Message
from shared.errors import BackchatError, Conflict, NotFound, Unavailable

Command = StartSession | SendMessage | FinishReply

NO_CATALOGUE = "No chatbot has announced itself yet."
CATALOGUE_RETRY = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """One command with the envelope that it came in."""

    received: Received
    command: Command


@dataclass(frozen=True, slots=True)
class Start:
    """A turn that is to be published; `starts` is how often it was before."""

    turn: Turn
    starts: int
    again: bool


@dataclass(slots=True)
class Batch:
    """Everything that follows from the orders given to `apply`."""

    loaded: Loaded
    catalogue: Catalogue
    chatbots_max: int
    now: datetime
    messages: list[Message] = field(default_factory=list)
    deliveries: list[tuple[Payload, Received]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    answers: list[tuple[Received, Reply]] = field(default_factory=list)
    changed_turns: dict[UUID, Turn] = field(default_factory=dict)
    _told_again: dict[UUID, Received] = field(default_factory=dict)

    def apply(self, order: Order) -> None:
        """Apply one command."""
        match order.command:
            case SendMessage():
                self._send(order.command, order.received)
            case FinishReply():
                self._finish(order.command, order.received)
            case StartSession():
                self._start(order.command, order.received)

    def conclude(self) -> None:
        """Tell again what commands found already applied: heads, and open turns of earlier batches."""
        for session_id, received in self._told_again.items():
            session = self.loaded.sessions[session_id]
            self._deliver(SessionHead(session_id=session.id, last_seq=session.last_seq), received)
            for turn in session.turns.values():
                if not turn.new:
                    self._publish_again(turn)

    def _start(self, command: StartSession, received: Received) -> None:
        session = self.loaded.sessions.get(command.session_id)
        try:
            if session is None:
                session = self._create(command, received)
            elif session.deleted_at is not None or session.owner_id != command.user_id:
                raise NotFound("There is no such session.")
            else:
                self._told_again.setdefault(session.id, received)
        except BackchatError as error:
            self.answers.append((received, refusal(error)))
            return
        result = SessionResult(session=views.session(session, self.catalogue))
        self.answers.append((received, Reply(result=result.model_dump(mode="json"))))

    def _create(self, command: StartSession, received: Received) -> SessionState:
        session = SessionState(
            id=command.session_id,
            title=command.title,
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
        self._deliver(SessionUpdated(session=views.session(session, self.catalogue)), received)
        return session

    def _chosen(self, wanted: list[str] | None) -> list[str]:
        if not self.catalogue.known:
            raise Unavailable(NO_CATALOGUE, retry_after=CATALOGUE_RETRY)
        if wanted is None:
            default = self.catalogue.default
            return [default] if default else []
        chosen = list(dict.fromkeys(wanted))
        if any(self.catalogue.card(chatbot) is None for chatbot in chosen):
            raise NotFound("There is no such chatbot.")
        if len(chosen) > self.chatbots_max:
            raise Conflict(f"A session holds at most {self.chatbots_max} chatbots.")
        return chosen

    def _send(self, command: SendMessage, received: Received) -> None:
        session = self.loaded.sessions.get(command.session_id)
        if command.message_id in self.loaded.known:  # the first content wins
            if session is not None:
                self._told_again.setdefault(session.id, received)
            return
        if session is None or session.deleted_at is not None or command.user_id not in session.users:
            self._deliver(rejection(command, NotFound.code), received)
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
        self._store(message, received)
        asked = sessions.answering(session.reply_policy, session.chatbots, command.content, session.rotation)
        if asked and session.reply_policy == "round_robin":
            session.rotation += 1
        for chatbot in asked:
            self._ask(session, chatbot, message, received)

    def _within(self, session: SessionState, reply_to: UUID | None) -> UUID | None:
        return reply_to if reply_to is not None and self.loaded.known.get(reply_to) == session.id else None

    def _ask(self, session: SessionState, chatbot: str, message: Message, received: Received) -> None:
        turn = session.turns.get(chatbot)
        if turn is None:
            self._open(session, chatbot, message.id, [[message.seq, message.seq]], received)
        elif turn.new:  # not published yet: it can answer this one too
            turn.asked, turn.reply_to = extended(turn.asked, message.seq), message.id
        else:
            turn.waiting, turn.waiting_reply_to = extended(turn.waiting, message.seq), message.id
            self._touch(turn)

    def _open(
        self, session: SessionState, chatbot: str, reply_to: UUID, asked: list[list[int]], received: Received
    ) -> None:
        turn = Turn(
            id=uuid4(),
            session_id=session.id,
            chatbot_id=chatbot,
            reply_to=reply_to,
            asked=asked,
            waiting=[],
            waiting_reply_to=None,
            starts=1,
            published_at=self.now,
            new=True,
            traceparent=received.traceparent,
        )
        session.turns[chatbot] = turn
        self._touch(turn)
        self.starts.append(Start(turn, starts=0, again=False))

    def _finish(self, command: FinishReply, received: Received) -> None:
        session = self.loaded.sessions.get(command.session_id)
        if session is None:
            return
        turn = session.turns.get(command.chatbot_id)
        if turn is None or turn.id != command.message_id:  # the first finished reply was stored
            self._told_again.setdefault(session.id, received)
            return
        content, status, error = sessions.as_stored(command.content, command.status, command.error)
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
        self._store(reply, received)
        self._close(session, turn, received)
        if session.title is None:
            self._name(session, received)

    def _close(self, session: SessionState, turn: Turn, received: Received) -> None:
        turn.closed_at = self.now
        self._touch(turn)
        del session.turns[turn.chatbot_id]
        if turn.waiting_reply_to is not None:
            self._open(session, turn.chatbot_id, turn.waiting_reply_to, turn.waiting, received)

    def _name(self, session: SessionState, received: Received) -> None:
        session.title = sessions.title_from(session.first_words or "")
        if session.title is None:
            return
        session.seq = session.next_seq(self.now)
        self._deliver(SessionUpdated(session=views.session(session, self.catalogue)), received)

    def _store(self, message: Message, received: Received) -> None:
        self.messages.append(message)
        self.loaded.known[message.id] = message.session_id
        self._deliver(MessageStored(message=message), received)

    def _touch(self, turn: Turn) -> None:
        self.changed_turns[turn.id] = turn

    def _publish_again(self, turn: Turn) -> None:
        self.starts.append(Start(turn, starts=turn.starts, again=True))
        turn.starts += 1
        turn.published_at = self.now
        self._touch(turn)

    def _deliver(self, payload: Payload, received: Received) -> None:
        self.deliveries.append((payload, received))


def refusal(error: BackchatError) -> Reply:
    """An error as the answer to whoever waits."""
    return Reply(error=Failure(code=error.code, message=error.detail, retry_after=error.retry_after))


def rejection(command: SendMessage, code: str) -> MessageRejected:
    """What the author of a message hears that could not be stored."""
    return MessageRejected(
        session_id=command.session_id,
        message_id=command.message_id,
        client_message_id=command.client_message_id,
        user_id=command.user_id,
        code=code,
    )
