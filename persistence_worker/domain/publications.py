"""What the bus is told after a commit, in which order and by which keys. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

from persistence_worker.domain.command_batch import Applied
from persistence_worker.domain.context import Contexts
from persistence_worker.domain.reply_policy import CHATBOT_UNAVAILABLE
from persistence_worker.domain.unit_of_work import Start
from shared.contracts import ids, topology
from shared.contracts.commands import EraseAuthor, FinishReply
from shared.contracts.envelope import Event
from shared.contracts.events import (
    MessageRejected,
    MessageStored,
    MessageUpdated,
    ReadMarked,
    SessionDeleted,
    SessionHead,
    SessionUpdated,
)
from shared.contracts.payload import Payload
from shared.contracts.turns import RunTurn

SOURCE = "persistence_worker"
ROUND_BYTES = 4 * 1024 * 1024  # of one `publish_all`, so that a large batch does not overrun the bus's bound

Publication = tuple[topology.Exchange, str, Event]


def of(applied: Applied, partitions: int) -> list[Publication]:
    """Deliveries first, then the turns: nobody answers what nobody has been shown. Before these, what is to stop."""
    told = [
        (topology.DELIVERY, key, event)
        for payload, received in applied.batch.deliveries
        for key, event in _delivery(payload, received.traceparent, partitions)
    ]
    batch = applied.batch
    stops = [
        (topology.CONTROL, topology.CONTROL_KEY, Event(SOURCE, stop, subject=str(stop.session_id)))
        for stop in batch.stops
    ]
    further = [commanded(command, partitions) for command in batch.further]
    return [*told, *stops, *of_turns(batch.starts, applied.contexts, partitions), *further]


def commanded(command: FinishReply | EraseAuthor, partitions: int, traceparent: str | None = None) -> Publication:
    """A command of our own: it goes through the log like every other write."""
    key = str(ids.partition(command.session_id, partitions))
    event = Event(SOURCE, command, subject=str(command.session_id), traceparent=traceparent)
    return topology.log(partitions), key, event


def of_turns(starts: Sequence[Start], contexts: Contexts, partitions: int) -> list[Publication]:
    """Turns to run; the failed reply instead where the chatbot is gone, through the log like every other write."""
    return [_turn(start, contexts, partitions) for start in starts]


def rejected(rejection: MessageRejected, partitions: int) -> Publication:
    """A refusal for the author's sockets."""
    [(key, event)] = _delivery(rejection, None, partitions)
    return topology.DELIVERY, key, event


def rounds(publications: Sequence[Publication]) -> Iterator[list[Publication]]:
    """The same, in pieces that the bus can hold."""
    piece: list[Publication] = []
    room = ROUND_BYTES
    for publication in publications:
        weight = _weight(publication[2].data)
        if piece and weight > room:
            yield piece
            piece, room = [], ROUND_BYTES
        piece.append(publication)
        room -= weight
    if piece:
        yield piece


def _delivery(payload: Payload, traceparent: str | None, partitions: int) -> Iterator[tuple[str, Event]]:
    users: list[str] = []
    event_id = None
    match payload:
        case MessageStored() | MessageUpdated():
            session_id = payload.message.session_id
            event_id = f"{payload.message.id}:{payload.message.updated_seq}"
        case SessionHead() | ReadMarked():
            session_id = payload.session_id
        case SessionDeleted():
            session_id, users = payload.session_id, payload.users
        case SessionUpdated():
            session_id, users = payload.session.id, payload.session.users
        case MessageRejected():
            event = Event(SOURCE, payload, subject=str(payload.session_id), traceparent=traceparent)
            yield topology.user_key(ids.bucket(payload.user_id, partitions)), event
            return
        case _:
            raise TypeError(type(payload).__name__)
    event = Event(SOURCE, payload, str(session_id), event_id or str(uuid4()), traceparent=traceparent)
    if not isinstance(payload, SessionDeleted) or payload.whole:
        yield topology.session_key(ids.partition(session_id, partitions)), event
    for bucket in sorted({ids.bucket(user, partitions) for user in users}):
        yield topology.user_key(bucket), event


def _turn(start: Start, contexts: Contexts, partitions: int) -> Publication:
    turn = start.turn
    subject = str(turn.session_id)
    context = contexts.get(turn.id)
    if context is not None:
        run = RunTurn(
            session_id=turn.session_id,
            message_id=turn.id,
            chatbot_id=turn.chatbot_id,
            reply_to=turn.reply_to,
            starts=start.starts,
            again=start.again,
            context=context.messages,
            as_of=context.as_of,
            summary=context.summary,
        )
        event = Event(SOURCE, run, subject, f"{turn.id}:{start.starts}", traceparent=turn.traceparent)
        return topology.TURNS, turn.chatbot_id, event
    failed = FinishReply.empty(turn.session_id, turn.id, turn.chatbot_id, status="failed", error=CHATBOT_UNAVAILABLE)
    return commanded(failed, partitions, turn.traceparent)


def _weight(payload: Payload) -> int:
    match payload:
        case MessageStored() | MessageUpdated():
            return 512 + 2 * len(payload.message.content)
        case RunTurn():
            return 512 + sum(256 + 2 * len(message.content) for message in payload.context)
        case _:
            return 1024
