"""The consumer of one partition of the log: take deliveries, commit their commands, acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from persistence_worker.commands.dead_letters import CrashedTooOften, DeadLetterPublisher, failed_reply
from persistence_worker.commands.group_commit import GroupCommitter
from persistence_worker.commands.transaction import TransactionRunner
from persistence_worker.domain.command_batch import ReceivedCommand
from persistence_worker.domain.rules.registry import COMMAND_TYPES
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent, origin, reason
from persistence_worker.storage.suspect_store import SuspectStore
from shared.backoff import Backoff
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts import topology
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.database.errors import reason as database_reason
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

PREFETCH = 100  # bodies
BATCH_EVENTS = 500  # of one transaction, unless one body has more
BATCH_BYTES = 2 * 1024 * 1024
CAREFUL_FROM = 3  # earlier deliveries; a body with so many may crash its consumer, and is first processed separately
SUSPECT_FROM = 20  # earlier deliveries; of such a body, a new process marks each event before it tries it
CRASHES_MAX = 5  # ends of the process during one event, after which it counts as poison
RETRY_PAUSE, RETRY_PAUSE_MAX = 0.1, 5.0  # seconds; doubled with each batch that is requeued in a row


@dataclass(frozen=True, slots=True)
class DeliveredEvent:
    """An event and the delivery that contained it."""

    envelope: Received
    delivery: Delivery


class PartitionConsumer:
    """Consumes one partition, in one task."""

    def __init__(
        self,
        number: int,
        partitions: int,
        *,
        bus: Bus,
        database: Database,
        runner: TransactionRunner,
        committer: GroupCommitter,
        dead_letters: DeadLetterPublisher,
    ) -> None:
        self._queue = topology.log_queue(number, partitions)
        self._bus = bus
        self._database = database
        self._runner = runner
        self._committer = committer
        self._dead_letters = dead_letters
        self._suspects = SuspectStore(database, self._queue.name)
        self._backoff = Backoff(RETRY_PAUSE, RETRY_PAUSE_MAX)
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self._stopping = False
        self._survived = False  # a batch was processed, and the process is still alive
        self._bodies_max = 1  # of a batch with a body that was delivered often; doubled after each success

    async def run(self) -> None:
        """Consume until `stop` is called. While the database is unavailable, no deliveries are held."""
        self._task = asyncio.current_task()
        exchanges = (topology.DELIVERY, topology.CONTROL, topology.TURNS, topology.DEAD)
        await self._bus.declare(exchanges, (topology.dead_queue(self._queue),))
        while not self._stopping:
            await self._database.ready()
            subscription = await self._bus.subscribe(self._queue, prefetch=PREFETCH)
            try:
                await self._consume(subscription)
            except Exception as error:
                if is_permanent(error):  # no event caused it, or that event would be a dead letter now
                    raise
                why = database_reason(error)
                logger.warning("batch.requeued", queue=self._queue.name, reason=why, collapse=why)
                if not isinstance(error, Unavailable):
                    self._database.report_failure(error)
                await asyncio.sleep(self._backoff.next())
            finally:
                await subscription.close()

    async def stop(self) -> None:
        """Finish the running transaction, and requeue all other deliveries."""
        self._stopping = True
        if self._task is None or self._task.done():
            return
        if not self._busy:
            self._task.cancel()
        await asyncio.wait((self._task,))

    async def _consume(self, subscription: Subscription) -> None:
        while not self._stopping:
            taken = await subscription.take(PREFETCH)
            self._busy = True
            try:
                left = taken.deliveries
                while left and not self._stopping:
                    batch = next_batch(left, self._bodies_max)
                    await self._process(batch)
                    await subscription.ack(batch)
                    self._backoff.reset()
                    left = left[len(batch) :]
            finally:
                self._busy = False

    async def _process(self, deliveries: Sequence[Delivery]) -> None:
        """Commit the events of deliveries together; one by one if they were delivered often, or if one is poison."""
        events = [event for delivery in deliveries for event in await self._read(delivery)]
        earlier = deliveries[0].delivery_count
        bodies_max, self._bodies_max = self._bodies_max, 1
        try:
            if earlier >= SUSPECT_FROM and not self._survived:
                await self._process_suspects(events)
            elif earlier >= CAREFUL_FROM and bodies_max == 1:
                for event in events:
                    await self._commit_each(await self._parse([event]))
            elif parsed := await self._parse(events):
                try:
                    await self._committer.commit([command for _, command in parsed])
                except Exception as error:
                    if not is_permanent(error):
                        raise
                    await self._isolate(parsed, error)
            self._bodies_max = min(2 * bodies_max, PREFETCH)
        finally:
            self._survived = True

    async def _read(self, delivery: Delivery) -> list[DeliveredEvent]:
        try:
            return [DeliveredEvent(envelope, delivery) for envelope in read_body(delivery.body)]
        except MalformedEvent as error:
            await self._dead_letters.publish(self._queue, delivery, None, error)
            return []

    async def _parse(self, events: Sequence[DeliveredEvent]) -> list[tuple[DeliveredEvent, ReceivedCommand]]:
        """Return the commands of events; an event that is not a valid command becomes a dead letter."""
        parsed = []
        for event in events:
            try:
                parsed.append((event, _command(event)))
            except MalformedEvent as error:
                await self._dead_letter(event, error)
        return parsed

    async def _isolate(self, parsed: Sequence[tuple[DeliveredEvent, ReceivedCommand]], error: Exception) -> None:
        """Find the poison among commands whose common transaction failed with a permanent `error`."""
        if len(parsed) == 1:
            await self._dead_letter(parsed[0][0], error)
        else:
            await self._commit_each([(event, replace(command, redelivered=True)) for event, command in parsed])

    async def _commit_each(self, parsed: Sequence[tuple[DeliveredEvent, ReceivedCommand]]) -> None:
        """Commit each command in a separate transaction; one that fails permanently becomes a dead letter."""
        for event, command in parsed:
            try:
                await self._committer.commit([command], exclusive=True)
            except Exception as error:
                if not is_permanent(error):
                    raise
                await self._dead_letter(event, error)

    async def _process_suspects(self, events: Sequence[DeliveredEvent]) -> None:
        """Commit each event in a separate transaction after a mark.

        An event whose mark stayed `CRASHES_MAX` times becomes a dead letter.

        Each delivery of this body may have crashed its consumer. Only the first body that a process takes is suspect:
        the bodies behind it were delivered as often, and an event that was processed without a crash is innocent.
        """
        for event in events:
            if await self._is_applied(event):
                await self._commit_each(await self._parse([event]))  # publishes its effects again
            elif await self._suspects.begin(event.envelope.id) >= CRASHES_MAX:
                await self._dead_letter(event, CrashedTooOften())
            else:
                try:
                    await self._commit_each(await self._parse([event]))
                except Exception:  # a server is away: that is no crash
                    with suppress(SQLAlchemyError, OSError):
                        await self._suspects.end()
                    raise
        await self._suspects.end()

    async def _is_applied(self, event: DeliveredEvent) -> bool:
        try:
            return await self._runner.is_applied(_command(event))
        except MalformedEvent:
            return False

    async def _dead_letter(self, event: DeliveredEvent, error: Exception) -> None:
        """Publish an event as a dead letter; the turn of a reply that cannot be stored ends as failed."""
        await self._dead_letters.publish(self._queue, event.delivery, event.envelope, error)
        failed = failed_reply(event.envelope)
        if failed is None:
            return
        command = ReceivedCommand(event.envelope, failed, redelivered=True)
        try:
            await self._committer.commit([command], exclusive=True)
        except Exception as second:
            if not is_permanent(second):
                raise
            logger.error(  # noqa: TRY400 - a traceback may quote content
                "turn.left_open", queue=self._queue.name, reason=reason(second), origin=origin(second)
            )


def next_batch(deliveries: Sequence[Delivery], bodies_max: int) -> Sequence[Delivery]:
    """Return the first deliveries that share a transaction: at most `bodies_max` bodies if one was delivered often.

    A body that was delivered often may crash the process. A new process begins with batches of one body and doubles
    them after each success, so that after each crash fewer bodies are in the batch with it: after seven crashes it is
    the first, and its events are processed one by one.
    """
    events = size = 0
    for place, delivery in enumerate(deliveries):
        events += delivery.body.count(b'"specversion"')  # at least the number of its events, and cheap
        size += len(delivery.body)
        often = max(delivery.delivery_count, deliveries[0].delivery_count) >= CAREFUL_FROM
        if place and ((often and place >= bodies_max) or events > BATCH_EVENTS or size > BATCH_BYTES):
            return deliveries[:place]
    return deliveries


def _command(event: DeliveredEvent) -> ReceivedCommand:
    envelope = event.envelope
    payload = COMMAND_TYPES.get(envelope.type)
    if payload is None:
        raise MalformedEvent(f"{envelope.type}: not a command of this release")
    return ReceivedCommand(envelope, envelope.parse(payload), redelivered=event.delivery.delivery_count > 0)
