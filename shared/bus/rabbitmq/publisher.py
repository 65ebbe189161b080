"""Group commit: one publication under way for each (exchange, key); what comes meanwhile leaves as one body.

All lanes that are due leave in one write. Everything happens in callbacks of one loop: there is no task for
an event, and one future only where somebody waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

import aiormq
import structlog
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.bus.port import PUBLISH_TIMEOUT
from shared.bus.rabbitmq.lanes import Entry, Lane
from shared.bus.rabbitmq.link import Broken, Link, call
from shared.bus.rabbitmq.metrics import BusMetrics
from shared.contracts.envelope import join
from shared.contracts.topology import EVENT_BYTES_MAX, MIB, Exchange
from shared.errors import BackchatError, PayloadTooLarge, Unavailable

logger = structlog.get_logger(__name__)

WAITING_EVENTS_MAX = 20_000  # in all lanes together, under way included
WAITING_BYTES_MAX = 64 * MIB
KEY_BYTES_MAX = 255  # AMQP's limit of a routing key
SWEEP_INTERVAL = 0.25  # seconds between looks at who has waited too long
OUTCOME_TIMEOUT = 30.0  # seconds without a confirm after which the connection is made anew
RETRY_INTERVAL = 0.05  # seconds
CONTENT_TYPE = "application/cloudevents-batch+json"  # CloudEvents 1.0, JSON format, section 4


class Publisher:
    """The sending half of the bus."""

    def __init__(self, link: Link, metrics: BusMetrics) -> None:
        self._link = link
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._ready: dict[Lane, None] = {}  # lanes with something to send, in order
        self._suspects: deque[Lane] = deque()  # one of them made the broker close the channel
        self._channel: aiormq.Channel | None = None
        self._flushing = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._events = 0
        self._bytes = 0
        self._last_outcome = 0.0
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def open(self) -> bool:
        """Whether publications leave just now."""
        return self._channel is not None and not self._channel.is_closed

    def send(self, exchange: Exchange, key: str, body: bytes, *, kept: bool = True) -> asyncio.Future[None]:
        """Queue one encoded event at once; the future says whether the broker holds it."""
        held: asyncio.Future[None] = self._loop.create_future()
        entry = Entry(body, held, kept, self._loop.time() + PUBLISH_TIMEOUT)
        if error := self._refusal(body, key):
            self._metrics.refused.inc()
            entry.resolve(error)
        else:
            self._add(exchange, key, entry)
        return held

    def send_and_forget(self, exchange: Exchange, key: str, body: bytes) -> None:
        """Queue one event that nobody waits for; dropped without a connection or over the bound."""
        if not self.open or self._refusal(body, key):
            self._metrics.dropped.inc()
        else:
            self._add(exchange, key, Entry(body, None, kept=False, due=self._loop.time() + PUBLISH_TIMEOUT))

    def _refusal(self, body: bytes, key: str) -> BackchatError | None:
        if self._closed:
            return Unavailable("The bus is closed.")
        if len(body) > EVENT_BYTES_MAX:
            return PayloadTooLarge("The event is too large for the bus.")
        if self._events >= WAITING_EVENTS_MAX or self._bytes + len(body) > WAITING_BYTES_MAX:
            return Unavailable("Too much is waiting for the broker.")
        if len(key.encode()) > KEY_BYTES_MAX:
            return Unavailable("No queue has such a long key.")
        return None

    def _add(self, exchange: Exchange, key: str, entry: Entry) -> None:
        lane = self._lanes.get((exchange.name, key))
        if lane is None:
            lane = self._lanes[exchange.name, key] = Lane(exchange, key)
        lane.waiting.append(entry)
        self._events += 1
        self._bytes += len(entry.body)
        self._empty.clear()
        if not lane.tag:
            self._ready[lane] = None
            self._schedule()
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _schedule(self) -> None:
        """Flush at the end of this turn of the loop, so that what is published in it leaves together."""
        if not self._flushing and self._channel is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        channel = self._channel
        if channel is None or channel.is_closed:
            return
        queue = channel.connection.write_queue
        if queue.full():  # the writer is held up: gather on
            self._flushing = True
            self._loop.call_later(RETRY_INTERVAL, self._flush)
            return
        frames: list[Basic.Publish | ContentHeader | ContentBody] = []
        for lane in self._take_ready():
            frames += self._publication(channel, lane)
        if frames:
            queue.put_nowait(ChannelFrame.marshall(channel.number, frames))

    def _take_ready(self) -> list[Lane]:
        if self._suspects:  # one at a time, until it shows which one the broker will not have
            suspect = self._suspects[0]
            lanes = [] if suspect.tag else [suspect]
        else:
            lanes = list(self._ready)
        for lane in lanes:
            self._ready.pop(lane, None)
            lane.next_batch()
        return lanes

    def _publication(self, channel: aiormq.Channel, lane: Lane) -> list[Basic.Publish | ContentHeader | ContentBody]:
        """The frames of the lane's batch, with its confirm registered."""
        channel.delivery_tag += 1
        lane.tag = channel.delivery_tag
        name = str(lane.tag)  # how a `basic.return` finds its publication
        outcome = channel.create_future()
        outcome.add_done_callback(partial(self._settled, lane, lane.tag, channel))
        channel.confirmations[lane.tag] = outcome
        channel.message_id_delivery_tag[name] = lane.tag
        body = join(entry.body for entry in lane.batch)
        self._metrics.published.inc(len(lane.batch))
        self._metrics.batch_size.observe(len(lane.batch))
        properties = Basic.Properties(
            content_type=CONTENT_TYPE, delivery_mode=2 if lane.exchange.persistent else 1, message_id=name
        )
        size = channel.max_content_size
        return [
            Basic.Publish(exchange=lane.exchange.name, routing_key=lane.key, mandatory=lane.exchange.mandatory),
            ContentHeader(body_size=len(body), properties=properties),
            *(ContentBody(body[start : start + size]) for start in range(0, len(body), size)),
        ]

    def _settled(self, lane: Lane, tag: int, channel: aiormq.Channel, outcome: asyncio.Future[object]) -> None:
        channel.message_id_delivery_tag.pop(str(tag), None)
        if channel is not self._channel or lane.tag != tag or outcome.cancelled():
            return
        error = outcome.exception()
        if error is not None and not isinstance(error, aiormq.DeliveryError):
            return  # the channel is gone: `_detach` keeps the batch
        self._last_outcome = self._loop.time()
        if error is None:
            self._metrics.confirmed.inc(len(lane.batch))
            self._finish(lane, None)
        elif isinstance(error, aiormq.PublishError):
            self._refuse(lane, "No queue takes this.")
        else:
            self._refuse(lane, "The queue is full.")

    def _refuse(self, lane: Lane, reason: str) -> None:
        logger.warning("publication refused", exchange=lane.exchange.name, key=lane.key, reason=reason)
        self._metrics.refused.inc(len(lane.batch))
        self._finish(lane, Unavailable(reason))

    def _finish(self, lane: Lane, error: BackchatError | None) -> None:
        """The outcome of the lane's batch is known: tell its waiters and let the next one go."""
        batch, lane.batch, lane.tag = lane.batch, [], 0
        for entry in batch:
            entry.resolve(error)
        self._release(batch)
        if self._suspects and self._suspects[0] is lane:
            self._suspects.popleft()
        if lane.waiting:
            self._ready[lane] = None
        else:
            del self._lanes[lane.exchange.name, lane.key]
        if self._ready or self._suspects:
            self._schedule()

    def _release(self, entries: list[Entry]) -> None:
        self._events -= len(entries)
        self._bytes -= sum(len(entry.body) for entry in entries)
        if not self._events:
            self._empty.set()

    def _sweep(self) -> None:
        """Tell those who have waited too long; their events stay and are sent until the outcome is known."""
        self._sweeper = None
        now = self._loop.time()
        for lane in self._lanes.values():
            for entries in (lane.batch, lane.waiting):
                for entry in entries:
                    if entry.due > now:
                        break
                    if entry.held is not None and not entry.held.done():
                        self._metrics.unknown.inc()
                        entry.resolve(Unavailable("The broker did not confirm in time."))
        if self._lanes:
            self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)
        under_way = any(lane.tag for lane in self._lanes.values())
        if not under_way:
            self._last_outcome = now
        elif now - self._last_outcome > OUTCOME_TIMEOUT:
            logger.error("no confirm from the broker", seconds=OUTCOME_TIMEOUT)
            self._last_outcome = now
            self._link.abort()

    async def run(self) -> None:
        """Keep a channel open on the link's connection until cancelled."""
        while True:
            connection = await self._link.current()
            try:
                channel = await call(connection.channel(publisher_confirms=True))
            except (Broken, aiormq.AMQPError):
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            assert isinstance(channel, aiormq.Channel)
            self._attach(channel)
            try:
                await asyncio.wait({channel.closing})
            finally:
                self._detach(alone=not connection.is_closed)

    def _attach(self, channel: aiormq.Channel) -> None:
        self._channel = channel
        self._last_outcome = self._loop.time()
        for lane in self._lanes.values():
            self._ready[lane] = None
        self._schedule()

    def _detach(self, *, alone: bool) -> None:
        """The channel is gone, `alone` or with its connection: what is kept will be sent again, the rest goes."""
        self._channel = None
        under_way = [lane for lane in self._lanes.values() if lane.tag]
        for lane in under_way:
            lane.tag = 0
        self._suspects.clear()
        if not alone:
            self._drop_unkept()
        elif len(under_way) == 1:  # the broker will not have this one, whatever the reason
            self._refuse(under_way[0], "The broker refuses this exchange or event.")
        else:
            self._suspects.extend(under_way)

    def _drop_unkept(self) -> None:
        for lane in list(self._lanes.values()):
            dropped = lane.drop_unkept()
            for entry in dropped:
                entry.resolve(Unavailable("The connection to the broker was lost."))
            self._metrics.dropped.inc(len(dropped))
            self._release(dropped)
            if not lane.batch and not lane.waiting:
                del self._lanes[lane.exchange.name, lane.key]
                self._ready.pop(lane, None)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing waits any more, `seconds` at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            logger.warning("publications given up", events=self._events)

    def close(self) -> None:
        """Refuse everything from now on, and tell those who still wait."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for lane in self._lanes.values():
            for entry in (*lane.batch, *lane.waiting):
                entry.resolve(Unavailable("The bus was closed."))
        self._lanes.clear()
        self._ready.clear()
