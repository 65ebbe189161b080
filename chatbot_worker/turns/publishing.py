"""What the worker hands on for good: finished replies, turns given back, dead letters. And the one thing it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from pydantic import ValidationError

from chatbot_worker.replies.reply_stream import SOURCE
from shared.backoff import Backoff
from shared.bus.port import Bus, Delivery
from shared.contracts import ids
from shared.contracts.commands import FinishReply, SummarizeSession
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, MalformedEvent
from shared.contracts.queries import IsTurnOpen, Reply, TurnResult
from shared.contracts.topology import DEAD, QUERIES, QUERY_KEY, TURNS, Exchange, Queue, log
from shared.contracts.turns import RunTurn
from shared.errors import PayloadTooLarge, Unavailable

logger = structlog.get_logger(__name__)

PAUSE_MIN, PAUSE_MAX = 0.1, 5.0  # seconds between two tries of what must happen


class Publisher:
    """Publishes until the bus holds it, under the same ids."""

    def __init__(self, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._partitions = partitions
        self._log = log(partitions)

    async def finish(self, replies: Sequence[FinishReply]) -> None:
        """Put finished replies into the log."""
        await self._hold([self._publication(reply) for reply in replies])

    async def hand_back(self, turn: RunTurn, delivery: Delivery, *, at_once: bool) -> bool:
        """Put a turn on its queue again, as one that has been started before; whether the bus holds it.

        `at_once`: try once, for there is no time.
        """
        again = turn.model_copy(update={"again": True, "starts": turn.starts + delivery.delivery_count + 1})
        publication = (TURNS, turn.chatbot_id, Event(SOURCE, again, str(turn.session_id)))
        if not at_once:
            await self._hold([publication])
            return True
        try:
            await self._bus.publish(*publication)
        except Unavailable:
            return False
        return True

    async def offer(self, summary: SummarizeSession) -> None:
        """Put a summary into the log, or leave it.

        Raises:
            Unavailable: the bus does not hold it; the next one tells the same.
        """
        key = str(ids.partition(summary.session_id, self._partitions))
        await self._bus.publish(self._log, key, Event(SOURCE, summary, str(summary.session_id)))

    async def bury(self, queue: Queue, body: bytes, reason: str, delivery: Delivery) -> None:
        """Put what cannot be read to the dead letters."""
        logger.error("dead letter", queue=queue.name, reason=reason)
        letter = DeadLetter.of(body, queue=queue.name, reason=reason, attempts=delivery.delivery_count)
        try:
            await self._hold([(DEAD, queue.name, Event(SOURCE, letter))])
        except PayloadTooLarge:
            letter = letter.model_copy(update={"body": "", "reason": f"{reason} (too large to keep)"})
            await self._hold([(DEAD, queue.name, Event(SOURCE, letter))])

    async def is_open(self, turn: RunTurn) -> bool:
        """Whether the turn still waits for its reply; asks until there is an answer."""
        question = IsTurnOpen(session_id=turn.session_id, message_id=turn.message_id)
        backoff = Backoff(PAUSE_MIN, PAUSE_MAX)
        while True:
            try:
                answer = await self._bus.request(QUERIES, QUERY_KEY, Event(SOURCE, question, str(turn.session_id)))
                reply = answer.parse(Reply)
                if reply.error is None:
                    return TurnResult.read(reply.result).open
                logger.warning("turn not known", code=reply.error.code)
            except Unavailable:
                pass
            except (MalformedEvent, ValidationError):
                logger.exception("an answer that cannot be read")
            await asyncio.sleep(backoff.next())

    async def _hold(self, publications: Sequence[tuple[Exchange, str, Event]]) -> None:
        backoff = Backoff(PAUSE_MIN, PAUSE_MAX)
        while True:
            try:
                return await self._bus.publish_all(publications)
            except Unavailable:
                await asyncio.sleep(backoff.next())

    def _publication(self, reply: FinishReply) -> tuple[Exchange, str, Event]:
        key = str(ids.partition(reply.session_id, self._partitions))
        return self._log, key, Event(SOURCE, reply, str(reply.session_id))
