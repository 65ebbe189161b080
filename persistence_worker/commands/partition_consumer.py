"""One partition of the log: take what is there, apply it in one transaction, tell everybody, ack."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from persistence_worker.commands.dead_letters import DeadLetterPublisher, DeliveredTooOften, failed_reply
from persistence_worker.commands.group_commit import Committer
from persistence_worker.commands.transaction import Ledger
from persistence_worker.domain.command_batch import TYPES, Order
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent, reason
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts import topology
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

PREFETCH = 100  # bodies
PIECE_EVENTS = 500  # of one transaction, unless one body has more
PIECE_BYTES = 2 * 1024 * 1024
CAREFUL_FROM = 3  # earlier deliveries of a body from which on it goes with few others, at first with none
SUSPECT_FROM = 100  # and from which on its first event that is not yet applied counts as poison
TRIES_A_SUSPECT = 10  # further deliveries after which one event more of the body does
RETRY_PAUSE = 0.1  # seconds


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
        committer: Committer,
        dead_letters: DeadLetterPublisher,
    ) -> None:
        self._queue = topology.log_queue(number, partitions)
        self._bus = bus
        self._database = database
        self._ledger = ledger
        self._committer = committer
        self._dead_letters = dead_letters
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self._stopping = False
        self._survived = False  # something was tried here, and this process still lives
        self._together = 1  # bodies that go together where they were delivered often: twice as many after each success

    async def run(self) -> None:
        """Consume until `stop`; while the database is away nothing is held."""
        self._task = asyncio.current_task()
        exchanges = (topology.DELIVERY, topology.CONTROL, topology.TURNS, topology.DEAD)
        await self._bus.declare(exchanges, (topology.dead_queue(self._queue),))
        while not self._stopping:
            await self._database.ready()
            subscription = await self._bus.subscribe(self._queue, prefetch=PREFETCH)
            try:
                await self._consume(subscription)
            except Exception as error:
                if is_permanent(error):  # no event's fault, or it would have been buried: ours
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
                left = taken.deliveries
                while left and not self._stopping:
                    piece = first_piece(left, self._together)
                    await self._settle(piece)
                    await subscription.ack(piece)
                    left = left[len(piece) :]
            finally:
                self._busy = False

    async def _settle(self, deliveries: Sequence[Delivery]) -> None:
        items = [item for delivery in deliveries for item in await self._read(delivery)]
        earlier = deliveries[0].delivery_count
        together, self._together = self._together, 1
        try:
            if earlier >= SUSPECT_FROM and not self._survived:
                items = await self._without_suspects(items, 1 + (earlier - SUSPECT_FROM) // TRIES_A_SUSPECT)
            if earlier >= CAREFUL_FROM and together == 1:
                for item in items:
                    await self._handle([item], alone=True)
            else:
                await self._handle(items)
            self._together = min(2 * together, PREFETCH)
        finally:
            self._survived = True

    async def _read(self, delivery: Delivery) -> list[Item]:
        try:
            return [Item(received, delivery) for received in read_body(delivery.body)]
        except MalformedEvent as error:
            await self._dead_letters.publish(self._queue, delivery, None, error)
            return []

    async def _without_suspects(self, items: Sequence[Item], most: int) -> list[Item]:
        """Put aside the first events that are not yet applied, `most` at most; what is left, in order.

        Each delivery of this body may have ended a process, at the first event that was not applied: all before
        it had transactions of their own. Only the first body that a process meets is suspected, since what
        waited behind it was delivered as often, and an event that was tried and let us live ends nobody.
        """
        suspects: list[Item] = []
        left: list[Item] = []
        for item in items:
            if len(suspects) < most and not await self._is_applied(item):
                suspects.append(item)
            else:
                left.append(item)
        for item in suspects:
            await self._bury(item, DeliveredTooOften())
        return left

    async def _is_applied(self, item: Item) -> bool:
        try:
            return await self._ledger.is_applied(_order(item))
        except MalformedEvent:
            return False

    async def _bury(self, item: Item, error: Exception) -> None:
        """Put one event aside; a reply that cannot be stored ends its turn all the same, as failed."""
        await self._dead_letters.publish(self._queue, item.delivery, item.received, error)
        failed = failed_reply(item.received)
        if failed is None:
            return
        try:
            await self._committer.commit([Order(item.received, failed, redelivered=True)], alone=True)
        except Exception as again:
            if not is_permanent(again):
                raise
            logger.error("turn left open", queue=self._queue.name, reason=reason(again))  # noqa: TRY400 - no content

    async def _handle(self, items: Sequence[Item], *, alone: bool = False, again: bool = False) -> None:
        """Apply these events together; if one of them turns out to be poison, one by one, `again`."""
        sound: list[tuple[Item, Order]] = []
        for item in items:
            try:
                sound.append((item, _order(item, again=again)))
            except MalformedEvent as error:
                await self._bury(item, error)
        if not sound:
            return
        try:
            await self._committer.commit([order for _, order in sound], alone=alone)
        except Exception as error:
            if not is_permanent(error):
                raise
            if len(sound) == 1:
                await self._bury(sound[0][0], error)
                return
            for item, _ in sound:
                await self._handle([item], alone=True, again=True)


def first_piece(deliveries: Sequence[Delivery], together: int) -> Sequence[Delivery]:
    """What goes into the next transaction; `together` bodies at most where one of them was delivered often.

    One of these may end its process. Whoever counts from one again after that, and doubles with each success, has
    fewer and fewer bodies before that one: after seven ends it is the first, and is taken event by event.
    """
    events = size = 0
    for place, delivery in enumerate(deliveries):
        events += delivery.body.count(b'"specversion"')  # no fewer than the events in it, and cheap
        size += len(delivery.body)
        often = max(delivery.delivery_count, deliveries[0].delivery_count) >= CAREFUL_FROM
        if place and ((often and place >= together) or events > PIECE_EVENTS or size > PIECE_BYTES):
            return deliveries[:place]
    return deliveries


def _order(item: Item, *, again: bool = False) -> Order:
    received = item.received
    payload = TYPES.get(received.type)
    if payload is None:
        raise MalformedEvent(f"{received.type}: no command of this release")
    return Order(received, received.parse(payload), redelivered=again or item.delivery.delivery_count > 0)
