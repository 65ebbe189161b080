"""Group commit: one publication under way for each (exchange, key); what comes meanwhile leaves as one body.

All lanes that are due leave in one write. Everything happens in callbacks of one loop: there is no task for
an event, and one future only where somebody waits. Frames go to aiormq's writer and confirms come back
through its registers of confirmations; its `basic_publish` would cost a task, a lock and a write a body.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

import aiormq
import structlog
from aiormq.abc import AbstractConnection, ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.bus.port import PUBLISH_TIMEOUT
from shared.bus.rabbitmq.lanes import Entry, Lane, Lanes
from shared.bus.rabbitmq.link import Broken, Link, call, open_channel
from shared.bus.rabbitmq.metrics import BusMetrics
from shared.contracts.envelope import join
from shared.contracts.topology import Exchange
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

SWEEP_INTERVAL = 0.25  # seconds between looks at who has waited too long
OUTCOME_TIMEOUT = 30.0  # seconds without any outcome after which the connection is made anew
RETRY_INTERVAL = 0.05  # seconds
RENEWAL_INTERVAL = 1.0  # seconds between two channels, while the broker refuses
RENEWAL_PATIENCE = 1.0  # seconds that a new channel waits for what is under way on the old one
CONTENT_TYPE = "application/cloudevents-batch+json"  # CloudEvents 1.0, JSON format, section 4

Frame = Basic.Publish | ContentHeader | ContentBody


class Publisher:
    """The sending half of the bus."""

    def __init__(self, link: Link, metrics: BusMetrics) -> None:
        self._link = link
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._lanes = Lanes()
        self._ready: dict[Lane, None] = {}  # lanes with something to send, in order
        self._suspects: deque[Lane] = deque()  # one of them made the broker close the channel
        self._channel: aiormq.Channel | None = None
        self._flushing = False
        self._holding = False  # whether nothing is sent just now, since the channel is being changed
        self._attached = 0.0  # the loop's time
        self._distrusted = False
        self._worn: asyncio.Future[None] = self._loop.create_future()  # done: the channel is to be changed
        self._sweeper: asyncio.TimerHandle | None = None
        self._last_outcome = 0.0  # the loop's time

    @property
    def open(self) -> bool:
        """Whether publications leave just now."""
        return self._channel is not None and not self._channel.is_closed

    def send(self, exchange: Exchange, key: str, body: bytes, *, kept: bool = True) -> asyncio.Future[None]:
        """Queue one encoded event at once; the future says whether the broker holds it."""
        held: asyncio.Future[None] = self._loop.create_future()
        entry = Entry(body, held, kept, self._loop.time() + PUBLISH_TIMEOUT)
        if error := self._lanes.refusal(body, key):
            self._metrics.refused.inc()
            entry.resolve(error)
        else:
            self._add(exchange, key, entry)
        return held

    def send_and_forget(self, exchange: Exchange, key: str, body: bytes) -> None:
        """Queue one event that nobody waits for; dropped without a connection or over the bound."""
        if not self.open or self._lanes.refusal(body, key):
            self._metrics.dropped.inc()
        else:
            self._add(exchange, key, Entry(body, None, kept=False, due=self._loop.time() + PUBLISH_TIMEOUT))

    def _add(self, exchange: Exchange, key: str, entry: Entry) -> None:
        lane = self._lanes.add(exchange, key, entry)
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
        if channel is None or channel.is_closed or self._holding:
            return
        queue = channel.connection.write_queue
        if queue.full():  # the writer is held up: gather on
            self._flushing = True
            self._loop.call_later(RETRY_INTERVAL, self._flush)
            return
        frames: list[Frame] = []
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

    def _publication(self, channel: aiormq.Channel, lane: Lane) -> list[Frame]:
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
            return  # the channel is gone: `_detach` sees to the batch
        self._last_outcome = self._loop.time()
        if error is None:
            self._metrics.confirmed.inc(len(lane.batch))
            self._finish(lane, None)
        elif isinstance(error, aiormq.PublishError):
            self._refuse(lane, "No queue takes this.")
        else:
            self._refuse(lane, "The queue is full.")
            self._distrust()

    def _distrust(self) -> None:
        """Have the channel changed, soon: the queue may not be full at all.

        A channel of RabbitMQ 3.10 that first publishes to a quorum queue just after its leader's node died goes on
        asking the dead one, and refuses for ever (observed on 3.10.8).
        """
        if not self._distrusted:
            self._distrusted = True
            self._loop.call_at(self._attached + RENEWAL_INTERVAL, self._wear_out, self._worn)

    @staticmethod
    def _wear_out(worn: asyncio.Future[None]) -> None:
        if not worn.done():
            worn.set_result(None)

    def _refuse(self, lane: Lane, reason: str) -> None:
        logger.warning("publication refused", exchange=lane.exchange.name, key=lane.key, reason=reason)
        self._metrics.refused.inc(len(lane.batch))
        self._finish(lane, Unavailable(reason))

    def _finish(self, lane: Lane, error: Unavailable | None) -> None:
        self._lanes.finish(lane, error)
        if self._suspects and self._suspects[0] is lane:
            self._suspects.popleft()
        if lane.waiting:
            self._ready[lane] = None
        if self._ready or self._suspects:
            self._schedule()

    def _sweep(self) -> None:
        now = self._loop.time()
        self._metrics.unknown.inc(self._lanes.expire(now))
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep) if len(self._lanes) else None
        if not any(lane.tag for lane in self._lanes):
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
                channel = await open_channel(connection, publisher_confirms=True)
            except (Broken, aiormq.AMQPError):
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            assert isinstance(channel, aiormq.Channel)
            self._attach(channel)
            while await self._wears_out(channel):
                channel = await self._renewed(connection, channel)
            closing = channel.closing
            refused = not closing.cancelled() and isinstance(closing.exception(), aiormq.ChannelClosed)
            self._detach(alone=refused)

    async def _wears_out(self, channel: aiormq.Channel) -> bool:
        """Wait until the channel closes (false) or is to be changed (true)."""
        closing = channel.closing
        await asyncio.wait({closing, self._worn}, return_when=asyncio.FIRST_COMPLETED)
        return not closing.done()

    async def _renewed(self, connection: AbstractConnection, old: aiormq.Channel) -> aiormq.Channel:
        """A fresh channel in place of the old one, or the old one if the broker gives none.

        What is under way gets some time for its outcome; what has none then is sent again, over the new one.
        """
        self._holding = True
        if under_way := list(old.confirmations.values()):
            await asyncio.wait(under_way, timeout=RENEWAL_PATIENCE)
        try:
            fresh = await open_channel(connection, publisher_confirms=True)
            await call(old.close())  # first: nothing may come over the old one after what comes over the new one
        except (Broken, aiormq.AMQPError):
            fresh = old
        else:
            for lane in self._lanes:
                lane.tag = 0
        assert isinstance(fresh, aiormq.Channel)
        self._attach(fresh)
        return fresh

    def _attach(self, channel: aiormq.Channel) -> None:
        self._channel = channel
        self._attached = self._last_outcome = self._loop.time()
        self._holding = self._distrusted = False
        self._worn = self._loop.create_future()
        self._ready = dict.fromkeys(lane for lane in self._lanes if not lane.tag)
        self._schedule()

    def _detach(self, *, alone: bool) -> None:
        """The channel is gone, `alone` by the broker's will or with its connection.

        What is kept will be sent again, the rest goes with the connection.
        """
        self._channel = None
        under_way = [lane for lane in self._lanes if lane.tag]
        for lane in under_way:
            lane.tag = 0
        self._suspects.clear()
        if not alone:
            self._metrics.dropped.inc(self._lanes.drop_unkept())
        elif len(under_way) == 1:  # the broker will not have this one, whatever the reason
            self._refuse(under_way[0], "The broker refuses this exchange or event.")
        else:
            self._suspects.extend(under_way)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing waits any more, `seconds` at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._lanes.empty.wait()
        except TimeoutError:
            logger.warning("publications not flushed in time", seconds=seconds)

    def close(self) -> None:
        """Refuse everything from now on, and tell those who still wait."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._channel = None
        if given_up := self._lanes.close():
            logger.warning("publications given up", events=given_up)
