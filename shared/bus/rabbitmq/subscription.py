"""One consumer of one queue, pulled by its owner and set up again after every loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4
from zlib import crc32

import aiormq
import structlog
from aiormq.abc import AbstractChannel, ChannelFrame, DeliveredMessage
from pamqp.commands import Basic

from shared.bus.port import Batch, Delivery
from shared.bus.rabbitmq.arguments import bind, declare_queue, has_sentinel, sentinel_name
from shared.bus.rabbitmq.inbox import Inbox
from shared.bus.rabbitmq.link import BACKOFF_MAX, CLOSE_TIMEOUT, Broken, Link, backoff, call, open_channel, report_death
from shared.contracts.topology import LOST, Exchange, Queue
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

WATCH_INTERVAL = 15.0  # seconds between looks at whether the broker still knows the consumer
PRIORITIES = 1_000  # how finely consumer priorities spread partitions over workers


class RabbitMQSubscription:
    """See `shared.bus.port.Subscription`. It starts at once, in a task of its own, and goes on until closed.

    `instance` names this process; `on_close` hears of the end.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        prefetch: int,
        link: Link,
        instance: str,
        on_close: Callable[[RabbitMQSubscription], None],
    ) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._link = link
        self._instance = instance
        self._on_close = on_close
        self._name = queue.name
        self._bindings: dict[tuple[str, str], tuple[Exchange, str]] = {}
        self._channel: AbstractChannel | None = None
        self._sentinel: AbstractChannel | None = None
        self._told: int | None = None  # the sentinel's delivery that was not yet handed on
        self._inbox = Inbox()
        self._heard = False  # whether anything arrived since the last look at the queue
        self._lost = asyncio.Event()
        self._opened = asyncio.Event()  # set for good when it was first set up
        self.active = False
        self._task = asyncio.create_task(self._run(), name=f"bus subscription {queue.name}")
        self._task.add_done_callback(report_death)

    async def opened(self) -> None:
        """Wait until it consumes for the first time."""
        await self._opened.wait()

    async def _run(self) -> None:
        """Set the consumer up, again and again, until cancelled."""
        attempt = 0
        while True:
            connection = await self._link.current()
            try:
                await self._open(connection)
            except (Broken, aiormq.AMQPError) as error:
                wait = backoff(attempt)
                attempt += 1
                logger.warning("cannot consume", queue=self._name, reason=str(error), retry_in=round(wait, 2))
                await self._discard()
                await asyncio.sleep(wait)
                continue
            since = asyncio.get_running_loop().time()
            await self._watch()
            logger.warning("consumer lost", queue=self._name)
            await self._discard()
            stable = asyncio.get_running_loop().time() - since > BACKOFF_MAX
            attempt = 0 if stable else attempt + 1
            await asyncio.sleep(0 if stable else backoff(attempt))

    async def _watch(self) -> None:
        """Return when the channel closed, the broker cancelled the consumer, or it went deaf without a word."""
        while not self._lost.is_set():
            self._heard = False
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_INTERVAL):
                    await self._lost.wait()
                    return
            if await self._deaf():
                logger.error("consumer went deaf", queue=self._name)
                return

    async def _deaf(self) -> bool:
        """Whether the broker has nobody for the queue, or messages that it should have given us."""
        assert self._channel is not None
        try:
            state = await call(self._channel.queue_declare(self._name, passive=True))
        except (Broken, aiormq.AMQPError):
            return True
        if not state.consumer_count:
            return True
        idle = not self._heard and not self._inbox.holds_some and not self._queue.single_active_consumer
        return idle and bool(state.message_count)

    async def _open(self, connection: aiormq.Connection) -> None:
        queue = self._queue
        epoch = self._inbox.begin()
        self._lost = lost = asyncio.Event()
        if queue.kind == "exclusive":
            self._name = f"{queue.name}.{uuid4()}"
        self._channel = channel = await open_channel(connection, publisher_confirms=False)
        channel.closing.add_done_callback(lambda _: lost.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: lost.set())
        if has_sentinel(queue):
            await self._open_sentinel(connection, epoch)
        await declare_queue(channel, queue, self._name)
        await call(channel.basic_qos(prefetch_count=self._prefetch))
        receive = partial(self._receive, epoch)
        await call(channel.basic_consume(self._name, receive, arguments=self._consumer_arguments()))
        await self._bind_again(channel)
        if queue.kind == "exclusive" and self._opened.is_set():
            self._inbox.tell_gap()  # only now: what comes from here on is not missed any more
        self.active = True
        self._opened.set()

    async def _bind_again(self, channel: AbstractChannel) -> None:
        """Redo all bindings, those included that are asked for meanwhile."""
        bound: set[tuple[str, str]] = set()
        while missing := {name: binding for name, binding in self._bindings.items() if name not in bound}:
            await bind(channel, self._name, missing.values())
            bound |= missing.keys()

    def _consumer_arguments(self) -> dict[str, Any]:
        """A priority of its own for each worker and partition: RabbitMQ 4 then spreads the active consumers."""
        if not self._queue.single_active_consumer:
            return {}
        return {"x-priority": crc32(f"{self._instance}/{self._queue.name}".encode()) % PRIORITIES}

    async def _open_sentinel(self, connection: aiormq.Connection, epoch: int) -> None:
        """A queue that gets what the main one drops, on a channel of its own: tags must not mix."""
        name = sentinel_name(self._name)
        self._sentinel = channel = await open_channel(connection, publisher_confirms=False)
        lost = self._lost
        channel.closing.add_done_callback(lambda _: lost.set())
        arguments: dict[str, Any] = {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "drop-head"}
        await call(channel.queue_declare(name, exclusive=True, auto_delete=True, arguments=arguments))
        await bind(channel, name, [(LOST, name)])
        await call(channel.basic_qos(prefetch_count=1))
        await call(channel.basic_consume(name, partial(self._overflowed, epoch)))

    async def _receive(self, epoch: int, message: DeliveredMessage) -> None:
        # aiormq runs each delivery as a task; tasks start in the order they were made, and this one never
        # waits, so order is kept.
        if message.delivery_tag is None:
            return
        headers = message.header.properties.headers or {}
        count = headers.get("x-delivery-count")
        if not isinstance(count, int):
            count = 1 if message.redelivered else 0
        self._heard = True
        self._inbox.put(Delivery(message.body, message.routing_key or "", count, message.delivery_tag, epoch))

    async def _overflowed(self, epoch: int, message: DeliveredMessage) -> None:
        if epoch == self._inbox.epoch:
            self._told = message.delivery_tag
            self._inbox.tell_gap()

    async def take(self, most: int = 1_000) -> Batch:
        """See the port.

        Raises:
            Unavailable: the subscription was closed.
        """
        batch = await self._inbox.take(most)
        if batch.gap:
            self._listen_to_sentinel()
        return batch

    def _listen_to_sentinel(self) -> None:
        """The last overflow was handed on: the sentinel may speak again. Without a wait, which could be cancelled."""
        channel, told = self._sentinel, self._told
        if channel is not None and told is not None and not channel.connection.write_queue.full():
            self._told = None
            channel.connection.write_queue.put_nowait(_acks(channel, [(told, False)]))

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        acks = self._inbox.settle(deliveries)
        channel = self._channel
        if not acks or channel is None or channel.is_closed:
            return
        queue = channel.connection.write_queue
        if not queue.full():
            queue.put_nowait(_acks(channel, acks))
            return
        try:
            await call(queue.put(_acks(channel, acks)))
        except Broken:
            logger.warning("acknowledgement lost", queue=self._name)
            self._lost.set()  # else the broker would count these against the prefetch for ever

    async def bind(self, exchange: Exchange, key: str) -> None:
        """See the port."""
        self._bindings[exchange.name, key] = (exchange, key)
        channel = self._channel
        if not self.active or channel is None:
            raise Unavailable("No connection to the broker.")
        try:
            await bind(channel, self._name, [(exchange, key)])
        except (Broken, aiormq.AMQPError) as error:
            raise Unavailable("The broker did not bind.") from error

    async def unbind(self, exchange: Exchange, key: str) -> None:
        """See the port."""
        self._bindings.pop((exchange.name, key), None)
        if not self.active or self._channel is None:
            return
        try:
            await call(self._channel.queue_unbind(self._name, exchange.name, key))
        except (Broken, aiormq.AMQPError):
            logger.warning("unbinding failed", queue=self._name, exchange=exchange.name, key=key)

    async def close(self) -> None:
        """See the port."""
        await self.stop()
        await self._discard()

    async def stop(self) -> None:
        """Stop without a word to the broker: enough where the connection is closed next, which hands back as well."""
        self.active = False
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._inbox.reset()
        self._inbox.close()
        self._on_close(self)

    async def _discard(self) -> None:
        """Forget the channels and what came over them: closing them hands it back, in order."""
        self.active = False
        self._told = None
        self._inbox.reset()
        channels, self._channel, self._sentinel = (self._channel, self._sentinel), None, None
        for channel in channels:
            if channel is not None and not channel.is_closed:
                try:
                    await call(channel.close(), CLOSE_TIMEOUT)
                except (Broken, aiormq.AMQPError):
                    logger.warning("channel not closed", queue=self._name)
                    self._link.abandon(channel.connection)


def _acks(channel: AbstractChannel, acks: Sequence[tuple[int, bool]]) -> ChannelFrame:
    frames = [Basic.Ack(delivery_tag=tag, multiple=multiple) for tag, multiple in acks]
    return ChannelFrame.marshall(channel.number, frames)
