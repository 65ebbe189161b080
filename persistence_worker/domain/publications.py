"""The publications of a committed batch: exchanges, routing keys, events, and their order. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

from persistence_worker.domain.command_batch import AppliedBatch
from persistence_worker.domain.context import Contexts
from persistence_worker.domain.unit_of_work import TurnStart
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
from shared.contracts.views import ErrorView

SOURCE = "persistence_worker"
CHUNK_BYTES = 4 * 1024 * 1024  # of one `publish_all`; a larger call could exceed the bound of the bus
CHATBOT_UNAVAILABLE = ErrorView(
    code="chatbot_unavailable", message="This chatbot is not available any more, so it could not answer."
)

Publication = tuple[topology.Exchange, str, Event]


def of_batch(applied: AppliedBatch, partitions: int) -> list[Publication]:
    """Return all publications of a batch: deliveries, then stops, then turns, then follow-up commands.

    Turns come after deliveries, so that clients see a message before its reply.
    """
    batch = applied.batch
    deliveries = [
        (topology.DELIVERY, key, event)
        for payload, envelope in batch.deliveries
        for key, event in _delivery(payload, envelope.traceparent, partitions)
    ]
    stops = [
        (topology.CONTROL, topology.CONTROL_KEY, Event(SOURCE, stop, subject=str(stop.session_id)))
        for stop in batch.turn_stops
    ]
    follow_ups = [of_command(command, partitions) for command in batch.follow_ups]
    return [*deliveries, *stops, *of_turns(batch.turn_starts, applied.contexts, partitions), *follow_ups]


def of_command(command: FinishReply | EraseAuthor, partitions: int, traceparent: str | None = None) -> Publication:
    """Return the publication of a command that the worker itself sends: it goes through the log."""
    key = str(ids.partition(command.session_id, partitions))
    event = Event(SOURCE, command, subject=str(command.session_id), traceparent=traceparent)
    return topology.log(partitions), key, event


def of_turns(starts: Sequence[TurnStart], contexts: Contexts, partitions: int) -> list[Publication]:
    """Return a `RunTurn` for each turn, or its failed reply if the chatbot is not available any more."""
    return [_turn(start, contexts, partitions) for start in starts]


def of_rejection(rejection: MessageRejected, partitions: int) -> Publication:
    """Return the publication of a rejected message to its author."""
    [(key, event)] = _delivery(rejection, None, partitions)
    return topology.DELIVERY, key, event


def chunks(publications: Sequence[Publication]) -> Iterator[list[Publication]]:
    """Split publications, in order, into chunks of about `CHUNK_BYTES`."""
    chunk: list[Publication] = []
    room = CHUNK_BYTES
    for publication in publications:
        size = _estimated_size(publication[2].data)
        if chunk and size > room:
            yield chunk
            chunk, room = [], CHUNK_BYTES
        chunk.append(publication)
        room -= size
    if chunk:
        yield chunk


def _delivery(payload: Payload, traceparent: str | None, partitions: int) -> Iterator[tuple[str, Event]]:
    """Yield routing key and event for the session's partition and for the buckets of the addressed users."""
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


def _turn(start: TurnStart, contexts: Contexts, partitions: int) -> Publication:
    turn = start.turn
    context = contexts.get(turn.id)
    if context is None:
        failed = FinishReply.empty(
            turn.session_id, turn.id, turn.chatbot_id, status="failed", error=CHATBOT_UNAVAILABLE
        )
        return of_command(failed, partitions, turn.traceparent)
    run = RunTurn(
        session_id=turn.session_id,
        message_id=turn.id,
        chatbot_id=turn.chatbot_id,
        reply_to=turn.reply_to,
        starts=start.starts,
        again=start.republished,
        context=context.messages,
        as_of=context.as_of,
        summary=context.summary,
    )
    event = Event(SOURCE, run, str(turn.session_id), f"{turn.id}:{start.starts}", traceparent=turn.traceparent)
    return topology.TURNS, turn.chatbot_id, event


def _estimated_size(payload: Payload) -> int:
    match payload:
        case MessageStored() | MessageUpdated():
            reasoning = sum(len(part.text) for part in payload.message.parts or ())
            return 512 + 2 * (len(payload.message.content) + reasoning)
        case RunTurn():
            return 512 + sum(256 + 2 * len(message.content) for message in payload.context)
        case _:
            return 1024
