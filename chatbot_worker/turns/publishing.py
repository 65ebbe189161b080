"""Publishes finished replies, requeued turns, dead letters and summaries, and queries whether turns are open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from msgspec import ValidationError

from chatbot_worker.replies.reply_stream import SOURCE
from shared.backoff import Backoff
from shared.bus.dead_letters import Publication, publish_dead_letter
from shared.bus.port import Bus, Delivery
from shared.contracts import ids
from shared.contracts.commands import FinishReply, SummarizeSession
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, MalformedEvent
from shared.contracts.queries import IsTurnOpen, Reply, TurnResult
from shared.contracts.topology import QUERIES, QUERY_KEY, TURNS, Queue, log
from shared.contracts.turns import RunTurn
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

PAUSE_MIN, PAUSE_MAX = 0.1, 5.0  # seconds between two attempts to publish, doubled each time


class Publisher:
    """Publishes with retries until the bus holds the event; each event keeps its id."""

    def __init__(self, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._partitions = partitions
        self._log = log(partitions)

    async def finish(self, replies: Sequence[FinishReply]) -> None:
        """Put finished replies into the log."""
        await self._publish([self._publication(reply) for reply in replies])

    async def hand_back(self, turn: RunTurn, starts: int, *, once: bool) -> bool:
        """Put a turn back on its queue; return whether the bus holds it.

        Args:
            turn: marked as started before in what is published.
            starts: publications and deliveries of the turn so far.
            once: make a single attempt to publish it.
        """
        marked = turn.replace(again=True, starts=starts)
        publication = (TURNS, turn.chatbot_id, Event(SOURCE, marked, str(turn.session_id)))
        if not once:
            await self._publish([publication])
            return True
        try:
            await self._bus.publish(*publication)
        except Unavailable:
            return False
        return True

    async def summarize(self, summary: SummarizeSession) -> None:
        """Put a summary into the log, in a single attempt.

        Raises:
            Unavailable: the bus does not hold it. A later summary will contain the same messages.
        """
        await self._bus.publish(*self._publication(summary))

    async def dead_letter(self, queue: Queue, body: bytes, reason: str, delivery: Delivery) -> None:
        """Publish a dead letter with the body, or without it where it is too large."""
        logger.error("dead_letter.published", queue=queue.name, reason=reason)
        letter = DeadLetter.of(body, queue=queue.name, reason=reason, attempts=delivery.delivery_count)
        await publish_dead_letter(self._publish, queue, letter, source=SOURCE)

    async def is_open(self, turn: RunTurn) -> bool:
        """Return whether the turn has no stored reply yet; asks until there is an answer."""
        question = IsTurnOpen(session_id=turn.session_id, message_id=turn.message_id)
        backoff = Backoff(PAUSE_MIN, PAUSE_MAX)
        while True:
            try:
                answer = await self._bus.request(QUERIES, QUERY_KEY, Event(SOURCE, question, str(turn.session_id)))
                reply = answer.parse(Reply)
                if reply.error is None:
                    return TurnResult.read(reply.result).open
                logger.warning("turn_query.refused", code=reply.error.code)
            except Unavailable:
                pass
            except (MalformedEvent, ValidationError):
                logger.exception("turn_query.unreadable")
            await asyncio.sleep(backoff.next())

    def _publication(self, command: FinishReply | SummarizeSession) -> Publication:
        key = str(ids.partition(command.session_id, self._partitions))
        return self._log, key, Event(SOURCE, command, str(command.session_id))

    async def _publish(self, publications: Sequence[Publication]) -> None:
        backoff = Backoff(PAUSE_MIN, PAUSE_MAX)
        while True:
            try:
                return await self._bus.publish_all(publications)
            except Unavailable:
                await asyncio.sleep(backoff.next())
