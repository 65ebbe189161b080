"""Publishes in batches: one publication in flight for each (exchange, key); later events form the next body.

Everything happens in callbacks of one loop: there is a future for each body, and for an event only where a caller
waits. All bodies that are due are sent in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

import structlog
from aio_pika.exceptions import ChannelClosed, DeliveryError, PublishError

from shared.bus.port import PUBLISH_TIMEOUT
from shared.bus.rabbitmq.alarms import Alarms
from shared.bus.rabbitmq.connection import ConnectionSupervisor
from shared.bus.rabbitmq.metrics import BusMetrics
from shared.bus.rabbitmq.publisher_channel import RETRY_INTERVAL, PublisherChannel
from shared.bus.rabbitmq.send_buffer import KeyBuffer, PendingEvent, SendBuffer
from shared.contracts.envelope import join
from shared.contracts.topology import Exchange
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

SWEEP_INTERVAL = 0.25  # seconds between checks for overdue outcomes
OUTCOME_TIMEOUT = 30.0  # seconds without any outcome after which the connection is replaced


class Publisher:
    """The publishing half of the bus. During an alarm of the broker it publishes nothing, and events stay pending."""

    def __init__(self, supervisor: ConnectionSupervisor, metrics: BusMetrics) -> None:
        self._supervisor = supervisor
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._buffers = SendBuffer()
        self._ready: dict[KeyBuffer, None] = {}  # buffers with something to send, in order
        self._suspects: deque[KeyBuffer] = deque()  # candidates for the batch that made the broker close the channel
        self.alarms = Alarms(ended=self._schedule)
        self._channel = PublisherChannel(supervisor, opened=self._opened, lost=self._lost)
        self._generation = 0  # of the channel over which the batches in flight were published
        self._publications = 0
        self._flushing = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._last_outcome = 0.0  # the loop's time
        self._empty = asyncio.Event()  # set while no event is pending
        self._empty.set()
        self.run = self._channel.run

    @property
    def open(self) -> bool:
        """Whether events can be published at the moment."""
        return self._channel.open

    def send(self, exchange: Exchange, key: str, body: bytes, *, resend: bool = True) -> asyncio.Future[None]:
        """Buffer one encoded event at once; the future says whether the broker holds it."""
        outcome: asyncio.Future[None] = self._loop.create_future()
        event = PendingEvent(body, outcome, resend, self._loop.time() + PUBLISH_TIMEOUT)
        if error := self._buffers.refusal(body, key):
            self._metrics.refused.inc()
            event.resolve(error)
        else:
            self._add(exchange, key, event)
        return outcome

    def send_and_forget(self, exchange: Exchange, key: str, body: bytes) -> None:
        """Buffer one event without an outcome; dropped without a connection or over the bound."""
        if not self.open or self._buffers.refusal(body, key):
            self._metrics.dropped.inc()
        else:
            self._add(exchange, key, PendingEvent(body, None, resend=False, due=self._loop.time() + PUBLISH_TIMEOUT))

    def _add(self, exchange: Exchange, key: str, event: PendingEvent) -> None:
        self._empty.clear()
        buffer = self._buffers.add(exchange, key, event)
        if not buffer.publication:
            self._ready[buffer] = None
            self._schedule()
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _schedule(self) -> None:
        """Flush at the end of this iteration of the loop, so that what is published in it is sent together."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self._channel.accepts or self.alarms.reason:
            return
        if self._channel.congested:  # the events wait in their buffers
            self._flushing = True
            self._loop.call_later(RETRY_INTERVAL, self._flush)
            return
        for buffer in self._take_ready():
            self._publish(buffer)
        self._channel.write()

    def _take_ready(self) -> list[KeyBuffer]:
        if self._suspects:  # one at a time, until it shows which one the broker refuses
            suspect = self._suspects[0]
            buffers = [] if suspect.publication else [suspect]
        else:
            buffers = list(self._ready)
        for buffer in buffers:
            self._ready.pop(buffer, None)
            buffer.next_batch()
        return buffers

    def _publish(self, buffer: KeyBuffer) -> None:
        self._publications += 1
        buffer.publication = self._publications
        self._metrics.published.inc(len(buffer.batch))
        self._metrics.batch_size.observe(len(buffer.batch))
        confirm = self._channel.publish(buffer.exchange, buffer.key, join(event.body for event in buffer.batch))
        confirm.add_done_callback(partial(self._set_outcome, self._channel.generation, buffer, self._publications))

    def _set_outcome(
        self, generation: int, buffer: KeyBuffer, publication: int, confirm: asyncio.Future[object]
    ) -> None:
        error = asyncio.CancelledError() if confirm.cancelled() else confirm.exception()
        if generation != self._channel.generation or buffer.publication != publication:
            return
        if error is not None and not isinstance(error, DeliveryError):
            return  # the channel is lost: `_lost` handles the batch
        self._last_outcome = self._loop.time()
        if error is None:
            self._metrics.confirmed.inc(len(buffer.batch))
            self._finish(buffer, None)
        elif isinstance(error, PublishError):
            self._refuse(buffer, "No queue takes this.")
        else:
            self._refuse(buffer, "The queue is full.")
            self._channel.renew_soon()

    def _refuse(self, buffer: KeyBuffer, reason: str, cause: str = "") -> None:
        exchange = buffer.exchange.name
        logger.warning(
            "publication.refused",
            exchange=exchange,
            key=buffer.key,
            reason=cause or reason,
            collapse=f"{exchange} {cause or reason}",
        )
        self._metrics.refused.inc(len(buffer.batch))
        self._finish(buffer, Unavailable(reason))

    def _finish(self, buffer: KeyBuffer, error: Unavailable | None) -> None:
        self._buffers.finish(buffer, error)
        if self._suspects and self._suspects[0] is buffer:
            self._suspects.popleft()
        if buffer.waiting:
            self._ready[buffer] = None
        if self._ready or self._suspects:
            self._schedule()
        self._check_empty()

    def _sweep(self) -> None:
        now = self._loop.time()
        self._metrics.unknown.inc(self._buffers.expire(now))
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep) if len(self._buffers) else None
        if self.alarms.reason or not any(buffer.publication for buffer in self._buffers):
            self._last_outcome = now
        elif now - self._last_outcome > OUTCOME_TIMEOUT:
            logger.error("confirms.missing", seconds=OUTCOME_TIMEOUT)
            self._last_outcome = now
            self._supervisor.abort()

    def _opened(self) -> None:
        """Send the waiting events; over a new channel also those that had no outcome on the earlier one."""
        if self._channel.generation != self._generation:
            self._generation = self._channel.generation
            for buffer in self._buffers:
                buffer.publication = 0
        self._last_outcome = self._loop.time()
        self._ready = dict.fromkeys(buffer for buffer in self._buffers if not buffer.publication)
        self._schedule()

    def _lost(self, cause: BaseException | None) -> None:
        """Handle the batches in flight: events with `resend` are sent again, others are lost with the connection."""
        in_flight = [buffer for buffer in self._buffers if buffer.publication]
        for buffer in in_flight:
            buffer.publication = 0
        self._suspects.clear()
        if not isinstance(cause, ChannelClosed):
            self._metrics.dropped.inc(self._buffers.drop_transient())
            self._check_empty()
        elif len(in_flight) == 1:  # the broker closed the channel because of this one
            self._refuse(in_flight[0], "The broker refuses this exchange or event.", str(cause))
        else:
            self._suspects.extend(in_flight)

    def _check_empty(self) -> None:
        if not self._buffers:
            self._empty.set()

    async def drain(self, seconds: float) -> None:
        """Wait until no event is pending, for at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            logger.warning("publications.not_flushed", seconds=seconds)

    def close(self) -> None:
        """Refuse all further events and fail those that are pending."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._channel.close()
        if given_up := self._buffers.close():
            logger.warning("publications.given_up", events=given_up)
