"""The unit of work: collects what commands change, publish and answer, until the transaction writes it. No I/O."""

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
from shared.contracts.payload import Payload, rfc3339
from shared.contracts.queries import Reply
from shared.contracts.turns import StopTurn
from shared.contracts.views import Message


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum numbers of chatbots and of members of one session."""

    chatbots: int
    users: int


@dataclass(frozen=True, slots=True)
class TurnStart:
    """A turn to publish. `starts` is the number of earlier publications."""

    turn: Turn
    starts: int
    republished: bool  # the turn may have run already


@dataclass(slots=True)
class UnitOfWork:
    """The state that was loaded, the changes of a batch of commands, and the steps that rules have in common."""

    loaded: Loaded
    catalogue: Catalogue
    limits: Limits
    now: datetime
    new_messages: dict[UUID, Message] = field(default_factory=dict)  # in their final state
    changed_turns: dict[UUID, Turn] = field(default_factory=dict)
    writes: Writes = field(default_factory=Writes)
    deliveries: list[tuple[Payload, Received]] = field(default_factory=list)
    turn_stops: list[StopTurn] = field(default_factory=list)
    turn_starts: list[TurnStart] = field(default_factory=list)
    follow_ups: list[EraseAuthor] = field(default_factory=list)  # commands that continue a bounded one
    answers: list[tuple[Received, Reply]] = field(default_factory=list)
    redelivered: set[str] = field(default_factory=set)  # ids of commands that may have been committed before
    repeats: dict[UUID, Received] = field(default_factory=dict)  # sessions of repeated commands
    unpublished: set[UUID] = field(default_factory=set)  # sessions whose latest change may not have been published

    def repeat(self, session: SessionState, envelope: Received) -> None:
        """Note that a command was applied before, so that its publications are repeated."""
        self.repeats.setdefault(session.id, envelope)
        if envelope.id in self.redelivered:
            self.unpublished.add(session.id)

    def deliver(self, payload: Payload, envelope: Received) -> None:
        """Publish an event to the gateways."""
        self.deliveries.append((payload, envelope))

    def deliver_session(self, session: SessionState, envelope: Received) -> None:
        """Publish the present state of a session to its members."""
        self.deliver(SessionUpdated(session=views.session(session, self.catalogue)), envelope)

    def change_session(self, session: SessionState, envelope: Received) -> None:
        """Number a change of the session itself, and publish its new state."""
        session.seq = session.next_seq(self.now)
        self.deliver_session(session, envelope)

    def store_message(self, session: SessionState, envelope: Received, message_id: UUID, **fields: Any) -> Message:
        """Store a new message with these fields of `Message` under the session's next number."""
        seq = session.next_seq(self.now)
        message = Message(id=message_id, session_id=session.id, seq=seq, updated_seq=seq, **fields)
        self.new_messages[message.id] = message
        self.loaded.message_sessions[message.id] = session.id
        self.deliver(MessageStored(message=message), envelope)
        return message

    def change_message(self, session: SessionState, message: Message, envelope: Received, **fields: Any) -> None:
        """Change fields of a stored message under the session's next number."""
        changed = message.replace(**fields, updated_seq=session.next_seq(self.now))
        if message.id in self.new_messages:
            self.new_messages[message.id] = changed
        else:
            self.writes.messages[message.id] = self.loaded.messages[message.id] = changed
            first = self.writes.first_changed.get(session.id, message.seq)
            self.writes.first_changed[session.id] = min(message.seq, first)
        self.deliver(MessageUpdated(message=changed), envelope)

    def message(self, session: SessionState, message_id: UUID) -> Message | None:
        """Return a message of this session that is new or loaded."""
        found = self.new_messages.get(message_id) or self.loaded.messages.get(message_id)
        return found if found is not None and found.session_id == session.id else None

    def request_reply(
        self, session: SessionState, chatbot: str, message: Message, envelope: Received, depth: int = 0
    ) -> None:
        """Let a chatbot answer a message: with a new turn, or with its next turn if one is open."""
        turn = session.turns.get(chatbot)
        if turn is None:
            self.open_turn(session, chatbot, message.id, [[message.seq, message.seq]], envelope, depth=depth)
            return
        if turn.new:  # not published yet, so that it can answer this message too
            turn.asked, turn.reply_to = extended(turn.asked, message.seq), message.id
            turn.depth = min(turn.depth, depth)
            return
        turn.waiting, turn.waiting_reply_to = extended(turn.waiting, message.seq), message.id
        turn.waiting_depth = depth if turn.waiting_depth is None else min(turn.waiting_depth, depth)
        self.save_turn(turn)

    def open_turn(
        self,
        session: SessionState,
        chatbot: str,
        reply_to: UUID,
        asked: list[list[int]],
        envelope: Received,
        *,
        depth: int = 0,
        until: int | None = None,
        turn_id: UUID | None = None,
    ) -> Turn:
        """Open a turn and schedule its publication. The parameters are fields of `Turn`."""
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
            traceparent=envelope.traceparent,
        )
        session.turns[chatbot] = turn
        self.save_turn(turn)
        self.turn_starts.append(TurnStart(turn, starts=0, republished=False))
        return turn

    def close_turn(self, session: SessionState, turn: Turn, envelope: Received) -> None:
        """End a turn, and open the next one for the messages that arrived in the meantime."""
        self.end_turn(session, turn)
        if turn.waiting_reply_to is not None:
            self.open_turn(
                session,
                turn.chatbot_id,
                turn.waiting_reply_to,
                turn.waiting,
                envelope,
                depth=turn.waiting_depth or 0,
                turn_id=turn.waiting_id,
            )

    def end_turn(self, session: SessionState, turn: Turn) -> None:
        """End a turn without a successor."""
        turn.closed_at = self.now
        self.save_turn(turn)
        del session.turns[turn.chatbot_id]
        if turn.new:  # not published yet
            self.turn_starts = [start for start in self.turn_starts if start.turn is not turn]

    def stop_turn(self, turn: Turn) -> None:
        """Publish a stop to the chatbot workers if the turn was published."""
        if not turn.new:
            self.turn_stops.append(StopTurn(session_id=turn.session_id, message_id=turn.id))

    def store_stopped_reply(
        self,
        session: SessionState,
        turn: Turn,
        envelope: Received,
        *,
        reply_to: UUID,
        superseded_by: UUID | None = None,
    ) -> None:
        """Stop a turn, and store its reply as stopped, without text."""
        self.stop_turn(turn)
        self.store_message(
            session,
            envelope,
            turn.id,
            sender_type="chatbot",
            sender_id=turn.chatbot_id,
            content="",
            created_at=rfc3339(self.now),
            reply_to=reply_to,
            status="stopped",
            superseded_by=superseded_by,
        )

    def republish_turn(self, turn: Turn) -> None:
        """Republish a turn whose publication may have been lost."""
        self.turn_starts.append(TurnStart(turn, starts=turn.starts, republished=True))
        turn.starts += 1
        turn.published_at = self.now
        self.save_turn(turn)

    def save_turn(self, turn: Turn) -> None:
        """Mark a turn as changed."""
        self.changed_turns[turn.id] = turn
