"""One consumer on one channel, and the sentinel that reports what its queue had to drop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4
from zlib import crc32

import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError
from pamqp.commands import Basic

from shared.bus.port import Delivery
from shared.bus.rabbitmq.arguments import has_sentinel, sentinel_arguments, sentinel_name
from shared.bus.rabbitmq.calls import CallFailed, call
from shared.bus.rabbitmq.connection import CLOSE_TIMEOUT, Connection, closing, open_channel
from shared.bus.rabbitmq.declarations import bind, declare_queue
from shared.bus.rabbitmq.frames import flush, is_congested, underlay_of, write, write_when_possible
from shared.bus.rabbitmq.receive_buffer import ReceiveBuffer
from shared.contracts.topology import LOST, Exchange, Queue

logger = structlog.get_logger(__name__)

PRIORITIES = 1_000  # how finely consumer priorities spread partitions over workers


class Consumer:
    """Consumes a queue over one channel until `lost` is set; a lost one is closed and replaced by a new one.

    Deliveries go into `buffer`. `instance` identifies this process.
    """

    def __init__(self, queue: Queue, buffer: ReceiveBuffer, *, prefetch: int, instance: str) -> None:
        self.name = f"{queue.name}.{uuid4()}" if queue.kind == "exclusive" else queue.name
        self.lost = asyncio.Event()
        self.idle = True  # nothing was received since it was last set
        self.channel: AbstractChannel | None = None
        self._queue = queue
        self._buffer = buffer
        self._epoch = buffer.begin()
        self._prefetch = prefetch
        self._instance = instance
        self._declared: AbstractQueue | None = None
        self._underlay: aiormq.Channel | None = None
        self._sentinel: AbstractChannel | None = None
        self._sentinel_underlay: aiormq.Channel | None = None
        self._overflow: int | None = None  # the sentinel's delivery tag, while its gap was not taken

    async def open(self, connection: Connection) -> None:
        """Declare the queue with its bindings and start consuming.

        Raises:
            AMQPError, CallFailed: the broker refused, or did not answer in time.
        """
        queue = self._queue
        self.channel = channel = await self._open_channel(connection)
        self._underlay = await underlay_of(channel)
        if has_sentinel(queue):
            await self._open_sentinel(connection)
        self._declared = await declare_queue(channel, queue, self.name)
        await call(channel.set_qos(prefetch_count=self._prefetch))
        await call(self._declared.consume(self._receive, arguments=self._arguments()))

    async def _open_channel(self, connection: Connection) -> AbstractChannel:
        channel = await open_channel(connection)
        closing(channel).add_done_callback(lambda _: self.lost.set())
        (await underlay_of(channel)).on_consumer_cancel_callbacks.add(lambda _: self.lost.set())
        return channel

    async def _open_sentinel(self, connection: Connection) -> None:
        """Consume what the main queue drops, over a second channel: delivery tags must not mix."""
        name = sentinel_name(self.name)
        self._sentinel = channel = await self._open_channel(connection)
        self._sentinel_underlay = await underlay_of(channel)
        queue = await call(
            channel.declare_queue(name, exclusive=True, auto_delete=True, arguments=sentinel_arguments())
        )
        await bind(channel, queue, [(LOST, name)])
        await call(channel.set_qos(prefetch_count=1))
        await call(queue.consume(self._receive_overflow))

    def _arguments(self) -> dict[str, Any]:
        """Give each worker and partition a different priority: RabbitMQ 4 then spreads the active consumers."""
        if not self._queue.single_active_consumer:
            return {}
        return {"x-priority": crc32(f"{self._instance}/{self._queue.name}".encode()) % PRIORITIES}

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        # aiormq and aio-pika run each delivery in tasks. Tasks start in the order in which they were created, and this
        # one never waits, so order is kept.
        if message.delivery_tag is None:
            return
        count = message.headers.get("x-delivery-count")
        if not isinstance(count, int):
            count = 1 if message.redelivered else 0
        self.idle = False
        self._buffer.put(Delivery(message.body, message.routing_key or "", count, message.delivery_tag, self._epoch))

    async def _receive_overflow(self, message: AbstractIncomingMessage) -> None:
        if self._epoch == self._buffer.epoch:
            self._overflow = message.delivery_tag
            self._buffer.report_gap()

    def reset_sentinel(self) -> None:
        """Let the sentinel report again, after the last gap was taken. Synchronous, so that it cannot be cancelled."""
        channel, overflow = self._sentinel_underlay, self._overflow
        if channel is not None and overflow is not None and not is_congested(channel):
            self._overflow = None
            write(channel, [Basic.Ack(delivery_tag=overflow)])

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Write the acknowledgements of these deliveries; those of an earlier consumer are ignored."""
        acks = self._buffer.acknowledge(deliveries)
        channel = self._underlay
        if not acks or channel is None or channel.is_closed:
            return
        try:
            await write_when_possible(
                channel, [Basic.Ack(delivery_tag=tag, multiple=multiple) for tag, multiple in acks]
            )
        except CallFailed:
            logger.warning("acks.lost", queue=self.name)
            self.lost.set()  # otherwise the broker counts these against the prefetch permanently

    async def bind(self, bindings: Iterable[tuple[Exchange, str]]) -> None:
        """Add bindings to the queue.

        Raises:
            AMQPError, CallFailed: the broker refused, or did not answer in time.
        """
        if self.channel is None or self._declared is None:
            raise CallFailed("not open")
        await bind(self.channel, self._declared, bindings)

    async def unbind(self, exchange: Exchange, key: str) -> None:
        """Remove a binding of the queue.

        Raises:
            AMQPError, CallFailed: the broker refused, or did not answer in time.
        """
        if self._declared is not None:
            await call(self._declared.unbind(exchange.name, key))

    async def is_deaf(self) -> bool:
        """Whether the broker has no consumer for the queue, or messages that it should have delivered here."""
        assert self.channel is not None
        try:
            state = (await call(self.channel.declare_queue(self.name, passive=True))).declaration_result
        except (CallFailed, AMQPError):
            return True
        if not state.consumer_count:
            return True
        idle = self.idle and not self._buffer.has_unacked and not self._queue.single_active_consumer
        return idle and bool(state.message_count)

    async def flush(self) -> None:
        """Have all acknowledgements written, as far as that is quickly possible."""
        if self._underlay is not None and not self._underlay.is_closed:
            with suppress(CallFailed, AMQPError):
                await flush(self._underlay, CLOSE_TIMEOUT)

    async def close(self) -> bool:
        """Close the channels: the broker requeues what was not acknowledged, in order.

        Returns whether the broker answered in time. No acknowledgement follows, since the broker would close the whole
        connection for one after Channel.Close.
        """
        channels = (self.channel, self._sentinel)
        self.channel = self._underlay = self._sentinel = self._sentinel_underlay = self._overflow = None
        closed = True
        for channel in channels:
            if closed and channel is not None and not channel.is_closed:
                try:
                    await call(channel.close(), CLOSE_TIMEOUT)
                except (CallFailed, AMQPError):
                    closed = False
        return closed
