"""What follows from a batch: what to write, to tell, to start and to answer; and how turns begin and end. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from persistence_worker.domain import views
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.state import Loaded, SessionState, Turn, Writes, extended
from shared.contracts.commands import EraseAuthor
from shared.contracts.envelope import Received
from shared.contracts.events import MessageStored, MessageUpdated, SessionUpdated
from shared.contracts.payload import Payload
from shared.contracts.queries import Reply
from shared.contracts.turns import StopTurn
from shared.contracts.views import Message


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one session holds."""

    chatbots: int
    users: int


@dataclass(frozen=True, slots=True)
class Start:
    """A turn that is to be published; `starts` is how often it was before."""

    turn: Turn
    starts: int
    again: bool


@dataclass(slots=True)
class Work:
    """The accumulated consequences of commands, and the steps that they have in common."""

    loaded: Loaded
    catalogue: Catalogue
    limits: Limits
    now: datetime
    messages: dict[UUID, Message] = field(default_factory=dict)  # new ones, as they are at the end
    writes: Writes = field(default_factory=Writes)
    deliveries: list[tuple[Payload, Received]] = field(default_factory=list)
    stops: list[StopTurn] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    further: list[EraseAuthor] = field(default_factory=list)  # commands that go on where these had to end
    answers: list[tuple[Received, Reply]] = field(default_factory=list)
    changed_turns: dict[UUID, Turn] = field(default_factory=dict)

    def deliver(self, payload: Payload, received: Received) -> None:
        """Tell the gateways."""
        self.deliveries.append((payload, received))

    def number(self, session: SessionState, received: Received) -> None:
        """A change of the session itself: it takes a number, and everybody in it hears of it."""
        session.seq = session.next_seq(self.now)
        self.tell(session, received)

    def tell(self, session: SessionState, received: Received) -> None:
        """Everybody in it hears how the session is now."""
        self.deliver(SessionUpdated(session=views.session(session, self.catalogue)), received)

    def store(self, message: Message, received: Received) -> None:
        """A new message."""
        self.messages[message.id] = message
        self.loaded.known[message.id] = message.session_id
        self.deliver(MessageStored(message=message), received)

    def change(self, session: SessionState, message: Message, received: Received, **fields: Any) -> None:
        """A stored message changes, under a number of its own."""
        changed = message.model_copy(update={**fields, "updated_seq": session.next_seq(self.now)})
        if message.id in self.messages:
            self.messages[message.id] = changed
        else:
            self.writes.messages[message.id] = self.loaded.messages[message.id] = changed
            self.writes.changed[session.id] = min(message.seq, self.writes.changed.get(session.id, message.seq))
        self.deliver(MessageUpdated(message=changed), received)

    def message(self, session: SessionState, message_id: UUID) -> Message | None:
        """A message of this session that is at hand."""
        found = self.messages.get(message_id) or self.loaded.messages.get(message_id)
        return found if found is not None and found.session_id == session.id else None

    def ask(self, session: SessionState, chatbot: str, message: Message, received: Received, depth: int = 0) -> None:
        """A chatbot owes an answer to a message: now, or with its next reply."""
        turn = session.turns.get(chatbot)
        if turn is None:
            self.open(session, chatbot, message.id, [[message.seq, message.seq]], received, depth=depth)
            return
        if turn.new:  # not published yet: it can answer this one too
            turn.asked, turn.reply_to = extended(turn.asked, message.seq), message.id
            turn.depth = min(turn.depth, depth)
            return
        turn.waiting, turn.waiting_reply_to = extended(turn.waiting, message.seq), message.id
        turn.waiting_depth = depth if turn.waiting_depth is None else min(turn.waiting_depth, depth)
        self.touch(turn)

    def open(
        self,
        session: SessionState,
        chatbot: str,
        reply_to: UUID,
        asked: list[list[int]],
        received: Received,
        *,
        depth: int = 0,
        until: int | None = None,
        turn_id: UUID | None = None,
    ) -> Turn:
        """A turn begins."""
        turn = Turn(
            id=turn_id or uuid4(),
            session_id=session.id,
            chatbot_id=chatbot,
            reply_to=reply_to,
            asked=asked,
            waiting=[],
            waiting_reply_to=None,
            starts=1,
            published_at=self.now,
            depth=depth,
            until=until,
            new=True,
            traceparent=received.traceparent,
        )
        session.turns[chatbot] = turn
        self.touch(turn)
        self.starts.append(Start(turn, starts=0, again=False))
        return turn

    def close(self, session: SessionState, turn: Turn, received: Received) -> None:
        """A turn has ended; what waited for its end begins."""
        self.end(session, turn)
        if turn.waiting_reply_to is not None:
            self.open(
                session,
                turn.chatbot_id,
                turn.waiting_reply_to,
                turn.waiting,
                received,
                depth=turn.waiting_depth or 0,
                turn_id=turn.waiting_id,
            )

    def end(self, session: SessionState, turn: Turn) -> None:
        """A turn is over, and nothing follows from it."""
        turn.closed_at = self.now
        self.touch(turn)
        del session.turns[turn.chatbot_id]
        if turn.new:  # nobody has heard of it
            self.starts = [start for start in self.starts if start.turn is not turn]

    def stop(self, turn: Turn) -> None:
        """Whoever runs this turn is to stop at once."""
        if not turn.new:
            self.stops.append(StopTurn(session_id=turn.session_id, message_id=turn.id))

    def cut(
        self,
        session: SessionState,
        turn: Turn,
        received: Received,
        *,
        reply_to: UUID,
        superseded_by: UUID | None = None,
    ) -> None:
        """Store the reply of a turn that is ended from here: stopped and empty."""
        self.stop(turn)
        seq = session.next_seq(self.now)
        reply = Message(
            id=turn.id,
            session_id=session.id,
            seq=seq,
            updated_seq=seq,
            sender_type="chatbot",
            sender_id=turn.chatbot_id,
            content="",
            created_at=self.now,
            reply_to=reply_to,
            status="stopped",
            superseded_by=superseded_by,
        )
        self.store(reply, received)

    def publish_again(self, turn: Turn) -> None:
        """Whoever should run a turn may not have heard of it."""
        self.starts.append(Start(turn, starts=turn.starts, again=True))
        turn.starts += 1
        turn.published_at = self.now
        self.touch(turn)

    def touch(self, turn: Turn) -> None:
        """A turn is to be written."""
        self.changed_turns[turn.id] = turn
