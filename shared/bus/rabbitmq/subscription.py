"""A subscription: takes deliveries of a consumer, which is replaced after every loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from aio_pika.exceptions import AMQPError

from shared.backoff import Backoff
from shared.bus.port import Batch, Delivery
from shared.bus.rabbitmq.calls import CallFailed, log_failure
from shared.bus.rabbitmq.connection import BACKOFF_FIRST, BACKOFF_MAX, Connection, ConnectionSupervisor
from shared.bus.rabbitmq.consumer import Consumer
from shared.bus.rabbitmq.receive_buffer import ReceiveBuffer
from shared.contracts.topology import Exchange, Queue
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

WATCH_INTERVAL = 15.0  # seconds between checks of whether the broker still knows the consumer


class RabbitMQSubscription:
    """See `shared.bus.port.Subscription`. It starts a task at once, which runs until it is closed.

    `instance` identifies this process; `on_close` is called at the end.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        prefetch: int,
        supervisor: ConnectionSupervisor,
        instance: str,
        on_close: Callable[[RabbitMQSubscription], None],
    ) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._supervisor = supervisor
        self._instance = instance
        self._on_close = on_close
        self._bindings: dict[tuple[str, str], tuple[Exchange, str]] = {}
        self._buffer = ReceiveBuffer()
        self._connection: Connection | None = None
        self._consumer: Consumer | None = None
        self._opened = asyncio.Event()  # set permanently by the first consumer
        self.active = False
        self._task = asyncio.create_task(self._run(), name=f"bus subscription {queue.name}")
        self._task.add_done_callback(log_failure)

    async def opened(self) -> None:
        """Wait until it consumes for the first time."""
        await self._opened.wait()

    async def _run(self) -> None:
        """Open a consumer and replace it after every loss, until cancelled."""
        backoff = Backoff(BACKOFF_FIRST, BACKOFF_MAX)
        while True:
            self._connection = await self._supervisor.current()
            try:
                consumer = await self._open(self._connection)
            except (CallFailed, AMQPError) as error:
                wait = backoff.next()
                logger.warning(
                    "consumer.failed",
                    queue=self._queue.name,
                    reason=str(error),
                    retry_in=round(wait, 2),
                    collapse=f"{self._queue.name} {error}",
                )
                await self._discard()
                await asyncio.sleep(wait)
                continue
            since = asyncio.get_running_loop().time()
            await self._watch(consumer)
            logger.warning("consumer.lost", queue=consumer.name)
            await self._discard()
            if asyncio.get_running_loop().time() - since > BACKOFF_MAX:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())

    async def _open(self, connection: Connection) -> Consumer:
        self._consumer = consumer = Consumer(
            self._queue, self._buffer, prefetch=self._prefetch, instance=self._instance
        )
        await consumer.open(connection)
        await self._restore_bindings(consumer)
        if self._queue.kind == "exclusive" and self._opened.is_set():
            self._buffer.report_gap()  # only now: from here on nothing is missed any more
        self.active = True
        self._opened.set()
        return consumer

    async def _restore_bindings(self, consumer: Consumer) -> None:
        """Repeat all bindings, including those that are added during that time."""
        bound: set[tuple[str, str]] = set()
        while missing := {name: binding for name, binding in self._bindings.items() if name not in bound}:
            await consumer.bind(missing.values())
            bound |= missing.keys()

    async def _watch(self, consumer: Consumer) -> None:
        """Return when the channel closed, the broker cancelled the consumer, or stopped delivering silently."""
        while not consumer.lost.is_set():
            consumer.idle = True
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_INTERVAL):
                    await consumer.lost.wait()
                    return
            if await consumer.is_deaf():
                logger.error("consumer.deaf", queue=consumer.name)
                return

    async def take(self, most: int = 1_000) -> Batch:
        """See the port.

        Raises:
            Unavailable: the subscription was closed.
        """
        batch = await self._buffer.take(most)
        if batch.gap and self._consumer is not None:
            self._consumer.reset_sentinel()
        return batch

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        if self._consumer is not None:
            await self._consumer.acknowledge(deliveries)

    async def bind(self, exchange: Exchange, key: str) -> None:
        """See the port."""
        self._bindings[exchange.name, key] = (exchange, key)
        if not self.active or self._consumer is None:
            raise Unavailable("No connection to the broker.")
        try:
            await self._consumer.bind([(exchange, key)])
        except (CallFailed, AMQPError) as error:
            raise Unavailable("The broker did not bind.") from error

    async def unbind(self, exchange: Exchange, key: str) -> None:
        """See the port."""
        self._bindings.pop((exchange.name, key), None)
        if not self.active or self._consumer is None:
            return
        try:
            await self._consumer.unbind(exchange, key)
        except (CallFailed, AMQPError):
            logger.warning("unbind.failed", queue=self._consumer.name, exchange=exchange.name, key=key)

    async def close(self) -> None:
        """See the port."""
        await self.stop()
        await self._discard()

    async def stop(self) -> None:
        """Stop and leave the channel open: enough where the connection is closed next, which requeues as well."""
        self.active = False
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._consumer is not None:
            await self._consumer.flush()
        self._buffer.reset()
        self._buffer.close()
        self._on_close(self)

    async def _discard(self) -> None:
        """Close the consumer and forget its deliveries."""
        self.active = False
        self._buffer.reset()
        consumer, self._consumer = self._consumer, None
        if consumer is not None and not await consumer.close():
            logger.warning("channel.close_timed_out", queue=consumer.name)
            assert self._connection is not None
            self._supervisor.abandon(self._connection)
