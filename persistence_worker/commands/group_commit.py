"""Group commit: the batches that the partitions of one worker have ready share a transaction.

A transaction and its publications cost as much as about thirty messages in it. While one runs, the batches of other
partitions gather; the next one takes them all. Each batch still belongs to its partition: it is acknowledged there,
and the order within a session is the order within its partition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from persistence_worker.commands.activity_notifier import ActivityNotifier
from persistence_worker.commands.transaction import TransactionRunner
from persistence_worker.domain import publications
from persistence_worker.domain.command_batch import AppliedBatch, ReceivedCommand, transactions
from persistence_worker.metrics import Metrics
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.errors import Unavailable

COMMANDS_MAX = 500  # of one transaction, unless one batch has more
RETRY_TIMEOUT = 3.0  # seconds of retries in place; after that the deliveries are requeued
RETRY_PAUSE = 0.1  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class PendingBatch:
    """The commands of one partition. `published` is done when they are committed and their publications confirmed."""

    commands: Sequence[ReceivedCommand]
    published: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupCommitter:
    """The only writer of sessions in a worker."""

    def __init__(
        self, *, bus: Bus, runner: TransactionRunner, activity: ActivityNotifier, metrics: Metrics, partitions: int
    ) -> None:
        self._bus = bus
        self._runner = runner
        self._activity = activity
        self._metrics = metrics
        self._partitions = partitions
        self._pending: list[PendingBatch] = []
        self._committing = asyncio.Lock()

    async def commit(self, commands: Sequence[ReceivedCommand], *, exclusive: bool = False) -> None:
        """Apply and commit commands in order, and send their publications and answers.

        `exclusive`: the commands do not share a transaction with those of other partitions.

        Raises:
            Exception: the error of the database or of the bus. If it is permanent, the commands include poison.
        """
        batch = PendingBatch(commands)
        if not exclusive:
            self._pending.append(batch)
        async with self._committing:
            if not batch.published.done():
                await self._commit_batches([batch] if exclusive else self._next_batches())
        await batch.published

    def _next_batches(self) -> list[PendingBatch]:
        taken: list[PendingBatch] = []
        room = COMMANDS_MAX
        while self._pending and (not taken or len(self._pending[0].commands) <= room):
            taken.append(self._pending.pop(0))
            room -= len(taken[-1].commands)
        return taken

    async def _commit_batches(self, batches: Sequence[PendingBatch], *, maybe_committed: bool = False) -> None:
        """Commit batches together, with retries; if that fails permanently, commit each batch separately."""
        try:
            for commands in transactions([command for batch in batches for command in batch.commands]):
                retried, give_up, applied = maybe_committed, time.monotonic() + RETRY_TIMEOUT, None
                while applied is None:
                    try:
                        with self._metrics.transaction.time():
                            applied = await self._runner.run(commands, maybe_committed=retried)
                    except Exception as error:
                        if is_permanent(error) or time.monotonic() > give_up:
                            raise
                        retried = True
                        await asyncio.sleep(RETRY_PAUSE)
                self._metrics.batch.observe(len(commands))
                await self._publish(applied)
        except Exception as error:  # noqa: BLE001 - each partition decides what its batch needs
            if is_permanent(error) and len(batches) > 1:
                for batch in batches:
                    await self._commit_batches([batch], maybe_committed=True)
            _fail(batches, error)
        else:
            for batch in batches:
                batch.published.set_result(None)
        finally:  # a partition whose batch another partition commits must not wait if that one is cancelled
            _fail(batches, Unavailable("The worker stops."))

    async def _publish(self, applied: AppliedBatch) -> None:
        """Send the publications of a committed batch, then its answers."""
        batch = applied.batch
        for message in batch.new_messages.values():
            self._metrics.stored.labels(message.sender_type).inc()
        self._activity.discard(session_id for session_id, _ in batch.writes.left)
        for chunk in publications.chunks(publications.of_batch(applied, self._partitions)):
            await self._bus.publish_all(chunk)
        for envelope, reply in batch.answers:
            if envelope.replyto is not None:
                self._bus.respond(envelope, Event(publications.SOURCE, reply, subject=envelope.subject))
        self._activity.changed(session for session in batch.loaded.sessions.values() if session.changed)


def _fail(batches: Sequence[PendingBatch], error: Exception) -> None:
    for batch in batches:
        if not batch.published.done():
            batch.published.set_exception(error)
            batch.published.exception()  # marks it as retrieved: the task of the partition may have ended
