"""`InProcessBus`: the port in one process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from uuid import uuid4

import structlog

from shared.bus.in_process.journal import Contents, Journal, Row
from shared.bus.in_process.publisher import Publisher
from shared.bus.in_process.queues import Entry, Memory, MessageQueue
from shared.bus.in_process.routing import Routes
from shared.bus.in_process.subscription import InProcessSubscription
from shared.bus.port import REQUEST_TIMEOUT
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.payload import utc_now
from shared.contracts.topology import DIRECT, Exchange, Queue
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

T = TypeVar("T")

HELD_BYTES_MAX = 256 * 1024 * 1024
REQUESTS_MAX = 10_000  # pending requests at a time; above it they are refused


class InProcessBus:
    """All queues in this process's memory; the durable ones also in the journal at `path` (`None`: in memory too).

    Enter it once. `held_bytes_max` limits what all queues without a limit hold together; above it a publication is
    refused. After a crash, entries that may have been delivered count as delivered once; a restart resets the time to
    live of messages.
    """

    def __init__(self, path: Path | None, *, held_bytes_max: int = HELD_BYTES_MAX) -> None:
        self._journal = Journal(path)
        self._memory = Memory(held_bytes_max)
        self._writer: ThreadPoolExecutor
        self._publisher: Publisher
        self._routes: Routes[MessageQueue] = Routes()
        self._queues: dict[str, MessageQueue] = {}
        self._subscriptions: set[InProcessSubscription] = set()
        self._serials = itertools.count(1)  # of exclusive queues
        self._tags = itertools.count(1)
        self._epoch = 0  # how many processes have opened the journal
        self._response_queue = f"replies.{uuid4()}"
        self._requests: dict[str, asyncio.Future[Received]] = {}  # by id
        self._running = False

    async def __aenter__(self) -> Self:
        """Open the journal and restore its queues.

        Raises:
            Unavailable: another process has it open, or a newer release wrote it.
        """
        self._writer = ThreadPoolExecutor(1, "bus-journal")
        try:
            contents = await self._in_writer(self._journal.open)
        except BaseException:
            self._writer.shutdown(wait=False)
            raise
        self._publisher = Publisher(self._routes, self._write, first_id=_next_id(contents))
        self._epoch = contents.starts
        self._restore(contents)
        self._running = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Requeue what is not acknowledged, write what is pending, and close the journal."""
        self._running = False
        for subscription in list(self._subscriptions):
            subscription.stop()
        for response in self._requests.values():
            _fail(response, "the bus is closed")
        await self._publisher.close()
        delivered = [(entry.count, entry.id) for queue in self._queues.values() for entry in queue.ready() if entry.id]
        for queue in self._queues.values():
            queue.stop()
        try:
            await self._in_writer(lambda: self._journal.close(delivered))
        except Exception as failure:  # noqa: BLE001 (the file has all that was confirmed; the next start repairs the rest)
            logger.warning("journal.not_closed", error=repr(failure))
        self._writer.shutdown(wait=False)

    @property
    def connected(self) -> bool:
        """Whether it is entered and its journal can be written."""
        return self._running and not self._publisher.failing

    @property
    def alarms(self) -> Sequence[str]:
        """See the port: `disk` while the journal cannot be written because the disk is full."""
        return ("disk",) if self._publisher.disk_full else ()

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:  # noqa: ARG002
        """See the port. Exchanges need no declaration here: the bindings of queues define them."""
        for spec in queues:
            if spec.kind == "exclusive":
                raise ValueError("an exclusive queue is declared by its consumer")
            await self._declare(spec, prefetch=0)

    async def exists(self, queue: Queue) -> bool:
        """See the port."""
        return queue.name in self._queues

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        """See the port."""
        return self._publisher.publish([(exchange, key, event)])

    def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> Awaitable[None]:
        """See the port."""
        return self._publisher.publish(publications)

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """See the port."""
        self._publisher.stream(exchange, key, event)

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        """See the port."""
        if len(self._requests) >= REQUESTS_MAX:
            raise Unavailable("too many requests are pending")
        deadline = utc_now() + timedelta(seconds=timeout)
        request = event.replace(replyto=self._response_queue, deadline=deadline)
        response: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._requests[request.id] = response
        try:
            async with asyncio.timeout(timeout):
                await self.publish(exchange, key, request)
                return await response
        except TimeoutError:
            raise Unavailable("no answer in time") from None
        finally:
            del self._requests[request.id]

    def respond(self, to: Received, answer: Event) -> None:
        """See the port."""
        if to.replyto != self._response_queue:
            return
        pending = self._requests.get(to.id)
        if pending is not None and not pending.done():
            pending.set_result(read_body(join([answer.replace(correlationid=to.id).encode()]))[0])

    async def subscribe(self, queue: Queue, *, prefetch: int) -> InProcessSubscription:
        """See the port."""
        if queue.kind == "exclusive":
            queue = replace(queue, name=f"{queue.name}.{next(self._serials)}")
            target = self._add(queue)
        else:
            others = (other for other in self._subscriptions if other.queue.spec.name == queue.name)
            target = await self._declare(queue, prefetch=prefetch + sum(other.prefetch for other in others))
        subscription = InProcessSubscription(
            target, self._routes, self._closed, prefetch=prefetch, epoch=self._epoch, tags=self._tags
        )
        self._subscriptions.add(subscription)
        return subscription

    def _restore(self, contents: Contents) -> None:
        for spec, prefetch in contents.queues:
            self._add(spec).prefetch = prefetch
        for stored in contents.entries:
            queue = self._queues[stored.queue]
            queue.reserve(len(stored.body), forced=True)  # confirmed by an earlier process
            queue.put(Entry(stored.key, stored.body, stored.id, stored.deliveries))

    async def _declare(self, spec: Queue, *, prefetch: int) -> MessageQueue:
        """Declare a shared queue and keep its earlier bindings; on return it survives the process."""
        if not self._running:
            raise Unavailable("the bus is closed")
        known = self._queues.get(spec.name)
        if known is not None:
            spec = replace(spec, bindings=tuple(dict.fromkeys((*known.spec.bindings, *spec.bindings))))
            prefetch = max(prefetch, known.prefetch)
        if known is None or known.spec != spec or known.prefetch != prefetch:
            try:
                await self._in_writer(lambda: self._journal.define(spec, prefetch))
            except Exception as error:
                raise Unavailable("the journal cannot be written") from error
        queue = self._add(spec)
        queue.prefetch = prefetch
        return queue

    def _add(self, spec: Queue) -> MessageQueue:
        queue = self._queues.get(spec.name)
        if queue is None:
            queue = self._queues[spec.name] = MessageQueue(spec, self._memory, self._publisher.remove)
        queue.spec = spec
        for exchange, key in ((DIRECT, spec.name), *spec.bindings):
            self._routes.bind(exchange, key, queue)
        return queue

    def _closed(self, subscription: InProcessSubscription) -> None:
        self._subscriptions.discard(subscription)
        queue = subscription.queue
        if queue.spec.kind == "exclusive":
            self._routes.remove(queue)
            del self._queues[queue.spec.name]
            queue.close()

    def _write(self, rows: Sequence[Row], removed: Sequence[int]) -> asyncio.Future[None]:
        return self._in_writer(lambda: self._journal.write(rows, removed))

    def _in_writer(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._writer, work)


def _next_id(contents: Contents) -> int:
    return contents.entries[-1].id + 1 if contents.entries else 1


def _fail(response: asyncio.Future[Received], reason: str) -> None:
    if not response.done():
        response.set_exception(Unavailable(reason))
        response.exception()
