"""Publishes in batches: events that arrive during a commit are written together by the next one (group commit)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from shared.bus.in_process.journal import Row
from shared.bus.in_process.queues import MessageQueue
from shared.bus.in_process.routing import Routes
from shared.bus.in_process.send_buffer import EVENT_OVERHEAD, Confirmation, KeyBuffer, RoutedBatch
from shared.bus.port import PUBLISH_TIMEOUT
from shared.contracts.envelope import Event
from shared.contracts.topology import EVENT_BYTES_MAX, Exchange
from shared.errors import PayloadTooLarge, Unavailable
from shared.sqlite_errors import is_disk_full

logger = structlog.get_logger(__name__)

PENDING_BYTES_MAX = 64 * 1024 * 1024  # of events that are in no commit yet
COMMIT_BYTES = 8 * 1024 * 1024  # above it, a commit includes no further key
REMOVAL_DELAY = 0.02  # seconds that a removal waits for a commit of publications to join
RETRY_DELAY = 1.0  # seconds from a failed commit to the next one, while no event is published
CLOSE_TIMEOUT = 10.0  # seconds

Write = Callable[[Sequence[Row], Sequence[int]], asyncio.Future[None]]


class Publisher:
    """Buffers of pending events, and one commit at a time. All methods run in the event loop."""

    def __init__(self, routes: Routes[MessageQueue], write: Write, first_id: int) -> None:
        self._routes = routes
        self._write = write
        self._next_id = first_id
        self._loop = asyncio.get_running_loop()
        self._transient: dict[tuple[str, str], KeyBuffer] = {}
        self._durable: dict[tuple[str, str], KeyBuffer] = {}  # to be committed, in this order
        self._pending_bytes = 0
        self._removed: list[int] = []  # journal ids to delete
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._commit: asyncio.Future[None] | None = None
        self._confirmations: deque[Confirmation] = deque()
        self._overdue: asyncio.TimerHandle | None = None
        self._open = True
        self.failing = False  # the last commit failed
        self.disk_full = False  # and this is why

    def publish(self, publications: Sequence[tuple[Exchange, str, Event]]) -> asyncio.Future[None]:
        """Buffer events in this order; the future resolves when all of them are stored."""
        future = self._loop.create_future()
        if not publications:
            future.set_result(None)
            return future
        confirmation = Confirmation(future, len(publications), self._loop.time() + PUBLISH_TIMEOUT)
        for exchange, key, event in publications:
            error = self._queue(exchange, key, event, confirmation)
            if error is not None:
                confirmation.resolve_one(error)
        if not future.done():
            self._confirmations.append(confirmation)
            if self._overdue is None:
                self._overdue = self._loop.call_at(confirmation.deadline, self._time_out)
        return future

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """Buffer one event without an outcome."""
        error = self._queue(exchange, key, event, None)
        if error is not None:
            logger.debug("event.dropped", exchange=exchange.name, reason=type(error).__name__)

    def remove(self, number: int) -> None:
        """Delete a body from the journal, with the next commit or after `REMOVAL_DELAY`."""
        self._removed.append(number)
        if self._timer is None and self._commit is None:
            self._timer = self._loop.call_later(REMOVAL_DELAY, self._commit_next)

    async def close(self) -> None:
        """Refuse further events, and wait until everything that can be written is written."""
        self._open = False
        self._flush()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while self._commit is not None or self._durable or self._removed:
                    self._commit_next()
                    if self._commit is not None:
                        await asyncio.wait([self._commit])
                    if self.failing:
                        break
        except TimeoutError:
            logger.warning("journal.not_flushed", seconds=CLOSE_TIMEOUT)
        self._fail_all("the bus is closed")
        for timer in (self._timer, self._overdue):
            if timer is not None:
                timer.cancel()

    def _queue(self, exchange: Exchange, key: str, event: Event, confirmation: Confirmation | None) -> Exception | None:
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
        buffer = self._durable.get(name) or self._transient.get(name)
        if buffer is None:
            buffer = KeyBuffer(exchange, key)
            (self._durable if exchange.persistent else self._transient)[name] = buffer
        buffer.events.append((encoded, confirmation))
        self._schedule()
        return None

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Deliver the events that only memory holds, and commit the rest unless a commit is running."""
        self._scheduled = False
        transient, self._transient = self._transient, {}
        for name, buffer in transient.items():
            queues = list(self._routes.find(buffer.exchange, buffer.key))
            if any(queue.is_journalled(persistent=False) for queue in queues):
                self._durable[name] = buffer
                continue
            for batch in self._route(buffer, queues):
                batch.deliver()
        if self._durable:
            self._commit_next()
        while self._confirmations and self._confirmations[0].future.done():
            self._confirmations.popleft()

    def _commit_next(self) -> None:
        if self._commit is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows: list[Row] = []
        batches = self._next_commit(rows)
        removed, self._removed = self._removed, []
        if rows or removed or self.failing:
            self._commit = self._write(rows, removed)
            self._commit.add_done_callback(partial(self._committed, batches, removed))

    def _next_commit(self, rows: list[Row]) -> list[RoutedBatch]:
        """Return the batches of the next commit and add their rows. Batches that need no journal are delivered."""
        batches: list[RoutedBatch] = []
        size = 0
        while self._durable and size < COMMIT_BYTES:
            buffer = self._durable.pop(next(iter(self._durable)))
            for batch in self._route(buffer, list(self._routes.find(buffer.exchange, buffer.key))):
                journalled = [(number, queue.spec.name) for queue, number in batch.targets if number]
                if not journalled:
                    batch.deliver()
                    continue
                rows.extend((number, queue, batch.key, batch.body) for number, queue in journalled)
                batches.append(batch)
                size += len(batch.body)
        return batches

    def _route(self, buffer: KeyBuffer, queues: Sequence[MessageQueue]) -> list[RoutedBatch]:
        """Return the buffer's batches with room reserved in all their queues; fail those without room or queue."""
        routed = []
        while buffer.events:
            batch = buffer.next_batch()
            self._pending_bytes -= batch.cost
            if not queues and buffer.exchange.mandatory:
                batch.fail("no queue takes this event")
            elif all(self._reserve(batch, queue, buffer.exchange) for queue in queues):
                routed.append(batch)
            else:
                batch.fail("the queue is full")
        return routed

    def _reserve(self, batch: RoutedBatch, queue: MessageQueue, exchange: Exchange) -> bool:
        if not queue.reserve(len(batch.body)):
            return False
        number = 0
        if queue.is_journalled(persistent=exchange.persistent):
            number, self._next_id = self._next_id, self._next_id + 1
        batch.targets.append((queue, number))
        return True

    def _committed(self, batches: list[RoutedBatch], removed: list[int], commit: asyncio.Future[None]) -> None:
        self._commit = None
        error = commit.exception()
        self.disk_full = error is not None and is_disk_full(error)
        if (error is not None) != self.failing:
            self.failing = error is not None
            cause = {"cause": "the disk is full or fails"} if self.disk_full else {}
            logger.warning("journal.failed" if self.failing else "journal.recovered", error=repr(error), **cause)
        for batch in batches:
            if error is None:
                batch.deliver()
            else:
                batch.fail("the journal cannot be written")
        if error is not None:
            self._removed = removed + self._removed
        self._schedule_next()

    def _schedule_next(self) -> None:
        if self._durable:
            self._schedule()  # not at once: callers that were just confirmed may publish again and join
        elif self._timer is None and (self.failing or self._removed):
            delay = RETRY_DELAY if self.failing else REMOVAL_DELAY
            self._timer = self._loop.call_later(delay, self._commit_next)

    def _fail_all(self, reason: str) -> None:
        for buffer in self._durable.values():
            while buffer.events:
                buffer.next_batch().fail(reason)
        self._durable.clear()

    def _time_out(self) -> None:
        """Set overdue outcomes to unknown; their commit continues."""
        now = self._loop.time()
        while self._confirmations and (self._confirmations[0].future.done() or self._confirmations[0].deadline <= now):
            self._confirmations.popleft().resolve(Unavailable("it is not known whether this was published"))
        self._overdue = (
            self._loop.call_at(self._confirmations[0].deadline, self._time_out) if self._confirmations else None
        )
