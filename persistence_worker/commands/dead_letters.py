"""Which failures are the event's own fault, and what becomes of such an event."""

from __future__ import annotations

from uuid import UUID

import structlog

from persistence_worker.domain import publications
from persistence_worker.domain.answers import refusal
from persistence_worker.metrics import Metrics
from persistence_worker.storage.errors import reason
from shared.bus.port import Bus, Delivery
from shared.contracts import topology
from shared.contracts.commands import FinishReply, SendMessage
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event, Received, join
from shared.contracts.events import MessageRejected
from shared.contracts.payload import utc_now
from shared.contracts.views import ErrorView
from shared.errors import Internal, PayloadTooLarge

logger = structlog.get_logger(__name__)

NOT_STORED = ErrorView(code="internal", message="The reply could not be stored. Please ask again.")


class DeliveredTooOften(Exception):
    """An event that has ended every process which tried it, as far as anybody can tell."""


class Cemetery:
    """Puts poison aside, told to the author, so that its neighbours can go on."""

    def __init__(self, bus: Bus, metrics: Metrics, partitions: int) -> None:
        self._bus = bus
        self._metrics = metrics
        self._partitions = partitions

    async def bury(
        self, queue: topology.Queue, delivery: Delivery, received: Received | None, error: Exception
    ) -> None:
        """Keep one event (or, if it could not be read, the whole body) in the queue's dead letters.

        Raises:
            Unavailable: not known to be kept; the delivery must not be acked.
        """
        logger.error("poison", queue=queue.name, type=received.type if received else None, reason=reason(error))
        body = delivery.body if received is None else join([received.encode()])
        subject = received.subject if received else None
        letter = DeadLetter.of(body, queue=queue.name, reason=reason(error), attempts=delivery.delivery_count)
        rejection = _rejection(received) if received is not None else None
        told = [] if rejection is None else [publications.rejected(rejection, self._partitions)]
        try:
            await self._bus.publish_all([_posted(queue, letter, subject), *told])
        except PayloadTooLarge:  # no event of ours: keep that it was there
            letter = letter.model_copy(update={"body": "", "reason": f"{letter.reason} (too large to keep)"})
            await self._bus.publish_all([_posted(queue, letter, subject), *told])
        if received is not None and received.replyto is not None:
            self._bus.respond(received, Event(publications.SOURCE, refusal(Internal()), subject=subject))
        self._metrics.poison.labels(queue.name).inc()


def failed_reply(received: Received) -> FinishReply | None:
    """What ends the turn of a reply that cannot be stored; none for other events, or if it does not name its turn."""
    if received.type != FinishReply.TYPE:
        return None
    data = received.data
    try:
        return FinishReply(
            session_id=UUID(data["session_id"]),
            message_id=UUID(data["message_id"]),
            chatbot_id=data["chatbot_id"],
            attempt=0,
            content="",
            status="failed",
            error=NOT_STORED,
            created_at=utc_now(),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _posted(queue: topology.Queue, letter: DeadLetter, subject: str | None) -> publications.Publication:
    return topology.DEAD, queue.name, Event(publications.SOURCE, letter, subject=subject)


def _rejection(received: Received) -> MessageRejected | None:
    """For the author of a message; none if not even that can be read from it."""
    if received.type != SendMessage.TYPE:
        return None
    data = received.data
    try:
        client_id = data.get("client_message_id")
        return MessageRejected(
            session_id=UUID(data["session_id"]),
            message_id=UUID(data["message_id"]),
            client_message_id=client_id if isinstance(client_id, str) else None,
            user_id=data["user_id"],
            code=Internal.code,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
