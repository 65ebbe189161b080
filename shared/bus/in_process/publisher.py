"""Group commit: what is published while a commit is under way leaves together in the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from shared.bus.in_process.journal import Row
from shared.bus.in_process.lanes import EVENT_OVERHEAD, Confirm, Lane, Parcel
from shared.bus.in_process.queues import MessageQueue
from shared.bus.in_process.routing import Routes
from shared.bus.port import PUBLISH_TIMEOUT
from shared.contracts.envelope import Event
from shared.contracts.topology import EVENT_BYTES_MAX, Exchange
from shared.errors import PayloadTooLarge, Unavailable

logger = structlog.get_logger(__name__)

PENDING_BYTES_MAX = 64 * 1024 * 1024  # of events that no commit has taken up yet
COMMIT_BYTES = 8 * 1024 * 1024  # a commit takes up no further key after so many
SETTLE_DELAY = 0.02  # seconds that an ack may wait for a commit to ride on
RETRY_DELAY = 1.0  # seconds from a failed commit to the next try, when nothing is published
CLOSE_TIMEOUT = 10.0  # seconds

Write = Callable[[Sequence[Row], Sequence[int]], asyncio.Future[None]]


class Publisher:
    """Lanes, and one commit at a time. Belongs to the event loop."""

    def __init__(self, routes: Routes[MessageQueue], write: Write, first_id: int) -> None:
        self._routes = routes
        self._write = write
        self._next_id = first_id
        self._loop = asyncio.get_running_loop()
        self._transient: dict[tuple[str, str], Lane] = {}
        self._durable: dict[tuple[str, str], Lane] = {}  # these wait for their turn in a commit
        self._pending_bytes = 0
        self._settled: list[int] = []  # journal ids to delete
        self._scheduled = False
        self._settling: asyncio.TimerHandle | None = None
        self._commit: asyncio.Future[None] | None = None
        self._confirms: deque[Confirm] = deque()
        self._overdue: asyncio.TimerHandle | None = None
        self._open = True
        self.failing = False  # the last commit failed

    def publish(self, publications: Sequence[tuple[Exchange, str, Event]]) -> asyncio.Future[None]:
        """Queue events in this order; the future resolves when all are held."""
        future = self._loop.create_future()
        if not publications:
            future.set_result(None)
            return future
        confirm = Confirm(future, len(publications), self._loop.time() + PUBLISH_TIMEOUT)
        for exchange, key, event in publications:
            error = self._queue(exchange, key, event, confirm)
            if error is not None:
                confirm.settle(error)
        if not future.done():
            self._confirms.append(confirm)
            if self._overdue is None:
                self._overdue = self._loop.call_at(confirm.deadline, self._time_out)
        return future

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """Queue one event whose fate nobody asks for."""
        error = self._queue(exchange, key, event, None)
        if error is not None:
            logger.debug("event dropped", exchange=exchange.name, reason=type(error).__name__)

    def forget(self, number: int) -> None:
        """A journalled body is done with; deleted by the next commit, or soon."""
        self._settled.append(number)
        if self._settling is None and self._commit is None:
            self._settling = self._loop.call_later(SETTLE_DELAY, self._commit_next)

    async def close(self) -> None:
        """Take nothing more, and wait until everything is written that can be."""
        self._open = False
        self._flush()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while self._commit is not None or self._durable or self._settled:
                    self._commit_next()
                    if self._commit is not None:
                        await asyncio.wait([self._commit])
                    if self.failing:
                        break
        except TimeoutError:
            logger.warning("the journal takes no more; unconfirmed events are given up")
        self._fail_all("the bus is closed")
        for timer in (self._settling, self._overdue):
            if timer is not None:
                timer.cancel()

    def _queue(self, exchange: Exchange, key: str, event: Event, confirm: Confirm | None) -> Exception | None:
        if not self._open:
            return Unavailable("the bus is closed")
        try:
            encoded = event.encode()
        except (TypeError, ValueError) as error:
            return error
        if len(encoded) > EVENT_BYTES_MAX:
            return PayloadTooLarge(f"an event of more than {EVENT_BYTES_MAX} bytes")
        if self._pending_bytes + len(encoded) + EVENT_OVERHEAD > PENDING_BYTES_MAX:
            return Unavailable("too many events are waiting to be published")
        self._pending_bytes += len(encoded) + EVENT_OVERHEAD
        name = (exchange.name, key)
        lane = self._durable.get(name) or self._transient.get(name)
        if lane is None:
            lane = Lane(exchange, key)
            (self._durable if exchange.persistent else self._transient)[name] = lane
        lane.events.append((encoded, confirm))
        self._schedule()
        return None

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Deliver what lives in memory alone, and begin a commit with the rest unless one is under way."""
        self._scheduled = False
        transient, self._transient = self._transient, {}
        for name, lane in transient.items():
            queues = list(self._routes.find(lane.exchange, lane.key))
            if any(queue.keeps(persistent=False) for queue in queues):
                self._durable[name] = lane
                continue
            for parcel in self._parcels(lane, queues):
                parcel.deliver()
        if self._durable:
            self._commit_next()
        while self._confirms and self._confirms[0].future.done():
            self._confirms.popleft()

    def _commit_next(self) -> None:
        if self._commit is not None:
            return
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        rows: list[Row] = []
        parcels = self._gather(rows)
        settled, self._settled = self._settled, []
        if rows or settled or self.failing:
            self._commit = self._write(rows, settled)
            self._commit.add_done_callback(partial(self._committed, parcels, settled))

    def _gather(self, rows: list[Row]) -> list[Parcel]:
        """What the next commit holds. What needs no journal is delivered at once."""
        parcels: list[Parcel] = []
        size = 0
        while self._durable and size < COMMIT_BYTES:
            lane = self._durable.pop(next(iter(self._durable)))
            for parcel in self._parcels(lane, list(self._routes.find(lane.exchange, lane.key))):
                kept = [(number, queue.spec.name) for queue, number in parcel.targets if number]
                if not kept:
                    parcel.deliver()
                    continue
                rows.extend((number, queue, parcel.key, parcel.body) for number, queue in kept)
                parcels.append(parcel)
                size += len(parcel.body)
        return parcels

    def _parcels(self, lane: Lane, queues: Sequence[MessageQueue]) -> list[Parcel]:
        """The bodies of a lane with room set aside in all their queues; those that find none have failed."""
        held = []
        while lane.events:
            parcel = lane.next_parcel()
            self._pending_bytes -= parcel.cost
            if not queues and lane.exchange.mandatory:
                parcel.fail("no queue takes this event")
            elif all(self._address(parcel, queue, lane.exchange) for queue in queues):
                held.append(parcel)
            else:
                parcel.fail("the queue is full")
        return held

    def _address(self, parcel: Parcel, queue: MessageQueue, exchange: Exchange) -> bool:
        if not queue.reserve(len(parcel.body)):
            return False
        number = 0
        if queue.keeps(persistent=exchange.persistent):
            number, self._next_id = self._next_id, self._next_id + 1
        parcel.targets.append((queue, number))
        return True

    def _committed(self, parcels: list[Parcel], settled: list[int], commit: asyncio.Future[None]) -> None:
        self._commit = None
        error = commit.exception()
        if (error is not None) != self.failing:
            self.failing = error is not None
            logger.warning("the journal", writable=not self.failing, error=repr(error))
        for parcel in parcels:
            if error is None:
                parcel.deliver()
            else:
                parcel.fail("the journal cannot be written")
        if error is not None:
            self._settled = settled + self._settled
        self._go_on()

    def _go_on(self) -> None:
        if self._durable:
            self._schedule()  # not at once: whoever was just confirmed may publish again and join
        elif self._settling is None and (self.failing or self._settled):
            delay = RETRY_DELAY if self.failing else SETTLE_DELAY
            self._settling = self._loop.call_later(delay, self._commit_next)

    def _fail_all(self, reason: str) -> None:
        for lane in self._durable.values():
            while lane.events:
                lane.next_parcel().fail(reason)
        self._durable.clear()

    def _time_out(self) -> None:
        """Tell those that have waited too long that the outcome is unknown; the commit goes on."""
        now = self._loop.time()
        while self._confirms and (self._confirms[0].future.done() or self._confirms[0].deadline <= now):
            self._confirms.popleft().finish(Unavailable("it is not known whether this was published"))
        self._overdue = self._loop.call_at(self._confirms[0].deadline, self._time_out) if self._confirms else None
