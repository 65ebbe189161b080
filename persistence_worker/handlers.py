"""One partition of the log: take what is there, apply it in one transaction, tell everybody, ack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from persistence_worker import publications
from persistence_worker.batches import Command, Order
from persistence_worker.database import Database
from persistence_worker.ledger import Applied, Ledger
from persistence_worker.metrics import Metrics
from persistence_worker.notices import Notices
from persistence_worker.poison import Cemetery, is_poison
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts import topology
from shared.contracts.commands import FinishReply, SendMessage, StartSession
from shared.contracts.envelope import Event, MalformedEvent, Received, read_body
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

PREFETCH = 100  # bodies
PIECE_EVENTS = 500  # of one transaction, unless one body has more
PIECE_BYTES = 2 * 1024 * 1024
ALONE_FROM = 3  # earlier deliveries of a body from which on its events are applied one by one
RETRY_FOR = 3.0  # seconds that a batch is tried again in place; then its deliveries go back
RETRY_PAUSE = 0.1  # seconds

TYPES: dict[str, type[Command]] = {command.TYPE: command for command in (StartSession, SendMessage, FinishReply)}


@dataclass(frozen=True, slots=True)
class Item:
    """One event and the delivery that it came in."""

    received: Received
    delivery: Delivery


class Partition:
    """The consumer of one partition, run by one task."""

    def __init__(
        self,
        number: int,
        partitions: int,
        *,
        bus: Bus,
        database: Database,
        ledger: Ledger,
        cemetery: Cemetery,
        notices: Notices,
        metrics: Metrics,
    ) -> None:
        self._partitions = partitions
        self._queue = topology.log_queue(number, partitions)
        self._bus = bus
        self._database = database
        self._ledger = ledger
        self._cemetery = cemetery
        self._notices = notices
        self._metrics = metrics

        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self._stopping = False

    async def run(self) -> None:
        """Consume until `stop`; while the database is away nothing is held."""
        self._task = asyncio.current_task()
        await self._bus.declare((topology.DELIVERY, topology.TURNS, topology.DEAD), (topology.dead_queue(self._queue),))
        while not self._stopping:
            await self._database.ready()
            subscription = await self._bus.subscribe(self._queue, prefetch=PREFETCH)
            try:
                await self._consume(subscription)
            except Exception as error:
                if is_poison(error):  # no event's fault, or it would have been buried: ours
                    raise
                logger.warning("batch goes back", queue=self._queue.name, reason=type(error).__name__)
                if not isinstance(error, Unavailable):
                    self._database.doubt()
                await asyncio.sleep(RETRY_PAUSE)
            finally:
                await subscription.close()

    async def stop(self) -> None:
        """Finish the transaction under way and hand the rest back."""
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
                for piece in pieces(taken.deliveries):
                    await self._settle(piece)
                    await subscription.ack(piece)
                    if self._stopping:
                        return
            finally:
                self._busy = False

    async def _settle(self, deliveries: Sequence[Delivery]) -> None:
        together: list[Item] = []
        for delivery in deliveries:
            try:
                events = read_body(delivery.body)
            except MalformedEvent as error:
                await self._cemetery.bury(self._queue, delivery, None, error)
                continue
            together += [Item(received, delivery) for received in events]
            if delivery.delivery_count >= ALONE_FROM:
                for item in together:
                    await self._handle([item])
                together = []
        await self._handle(together)

    async def _handle(self, items: Sequence[Item]) -> None:
        """Apply these events together; if one of them turns out to be poison, one by one."""
        sound: list[tuple[Item, Order]] = []
        for item in items:
            try:
                sound.append((item, _order(item.received)))
            except MalformedEvent as error:
                await self._cemetery.bury(self._queue, item.delivery, item.received, error)
        if not sound:
            return
        try:
            applied = await self._persist([order for _, order in sound])
        except Exception as error:
            if not is_poison(error):
                raise
            if len(sound) == 1:
                item = sound[0][0]
                await self._cemetery.bury(self._queue, item.delivery, item.received, error)
                return
            for item, _ in sound:
                await self._handle([item])
            return
        await self._tell(applied)

    async def _persist(self, orders: Sequence[Order]) -> Applied:
        give_up = time.monotonic() + RETRY_FOR
        while True:
            try:
                with self._metrics.transaction.time():
                    applied = await self._ledger.apply(orders)
            except Exception as error:
                if is_poison(error) or time.monotonic() > give_up:
                    raise
                await asyncio.sleep(RETRY_PAUSE)
            else:
                self._metrics.batch.observe(len(orders))
                return applied

    async def _tell(self, applied: Applied) -> None:
        for message in applied.batch.messages:
            self._metrics.stored.labels(message.sender_type).inc()
        for piece in publications.rounds(publications.of(applied, self._partitions)):
            await self._bus.publish_all(piece)
        for received, reply in applied.batch.answers:
            if received.replyto is not None:
                self._bus.respond(received, Event(publications.SOURCE, reply, subject=received.subject))
        self._notices.note(session for session in applied.batch.loaded.sessions.values() if session.changed)


def pieces(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Deliveries by what goes into one transaction."""
    piece: list[Delivery] = []
    events = size = 0
    for delivery in deliveries:
        count = delivery.body.count(b'"specversion"')  # no fewer than the events in it, and cheap
        if piece and (events + count > PIECE_EVENTS or size + len(delivery.body) > PIECE_BYTES):
            yield piece
            piece, events, size = [], 0, 0
        piece.append(delivery)
        events += count
        size += len(delivery.body)
    if piece:
        yield piece


def _order(received: Received) -> Order:
    payload = TYPES.get(received.type)
    if payload is None:
        raise MalformedEvent(f"{received.type}: no command of this release")
    return Order(received, received.parse(payload))
