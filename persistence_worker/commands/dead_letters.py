"""Poison messages: published as dead letters, and answered to those who wait for their result."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog

from persistence_worker.domain import publications
from persistence_worker.domain.answers import refusal
from persistence_worker.metrics import Metrics
from persistence_worker.storage.errors import origin, reason
from shared.bus.dead_letters import publish_dead_letter
from shared.bus.port import Bus, Delivery
from shared.contracts.commands import FinishReply, SendMessage
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, MalformedEvent, Received, join
from shared.contracts.events import MessageRejected
from shared.contracts.payload import Model
from shared.contracts.topology import Queue
from shared.contracts.views import ErrorView
from shared.errors import Internal

logger = structlog.get_logger(__name__)

NOT_STORED = ErrorView(code="internal", message="The reply could not be stored. Please ask again.")


class _MessageIds(Model):
    """The fields of a `SendMessage` that its rejection repeats."""

    session_id: UUID
    message_id: UUID
    user_id: str
    client_message_id: Any = None


class CrashedTooOften(Exception):
    """An event during which the process ended again and again."""


class DeadLetterPublisher:
    """Moves poison messages to dead-letter queues, so that the rest of a queue can be processed."""

    def __init__(self, bus: Bus, metrics: Metrics, partitions: int) -> None:
        self._bus = bus
        self._metrics = metrics
        self._partitions = partitions

    async def publish(self, queue: Queue, delivery: Delivery, envelope: Received | None, error: Exception) -> None:
        """Publish one event of a delivery, or its whole body if no event can be read (`envelope` is `None`).

        The author of a message gets `message_rejected`, the sender of a command that expects an answer `internal`.

        Raises:
            Unavailable: the bus did not confirm the dead letter; the delivery must not be acknowledged.
        """
        body = delivery.body if envelope is None else join([envelope.encode()])
        subject = None if envelope is None else envelope.subject
        letter = DeadLetter.of(body, queue=queue.name, reason=reason(error), attempts=delivery.delivery_count)
        rejection = None if envelope is None else _rejection(envelope)
        await publish_dead_letter(
            self._bus.publish_all,
            queue,
            letter,
            source=publications.SOURCE,
            subject=subject,
            notices=[] if rejection is None else [publications.of_rejection(rejection, self._partitions)],
        )
        if envelope is not None and envelope.replyto is not None:
            self._bus.respond(envelope, Event(publications.SOURCE, refusal(Internal()), subject=subject))
        self._metrics.dead_letters.labels(queue.name).inc()
        logger.error(
            "dead_letter.published",
            queue=queue.name,
            type=None if envelope is None else envelope.type,
            reason=letter.reason,
            origin=origin(error),
            deliveries=delivery.delivery_count,
        )


def failed_reply(envelope: Received) -> FinishReply | None:
    """Return the failed reply that ends the turn of a reply which cannot be stored.

    `None` for every other type of event, and if the reply does not name its turn.
    """
    return FinishReply.failed(envelope, NOT_STORED) if envelope.type == FinishReply.TYPE else None


def _rejection(envelope: Received) -> MessageRejected | None:
    if envelope.type != SendMessage.TYPE:
        return None
    try:
        message = envelope.parse(_MessageIds)
    except MalformedEvent:
        return None
    client_id = message.client_message_id
    return MessageRejected(
        session_id=message.session_id,
        message_id=message.message_id,
        client_message_id=client_id if isinstance(client_id, str) else None,
        user_id=message.user_id,
        code=Internal.code,
    )
