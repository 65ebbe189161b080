"""`RabbitMQBus`: the port on RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiormq
import structlog
from prometheus_client import CollectorRegistry
from yarl import URL

from shared.bus.port import REQUEST_TIMEOUT
from shared.bus.rabbitmq.arguments import declare_exchange, declare_queue
from shared.bus.rabbitmq.link import Broken, Link, call, open_channel, report_death
from shared.bus.rabbitmq.metrics import BusMetrics
from shared.bus.rabbitmq.publisher import Publisher
from shared.bus.rabbitmq.replies import Replies
from shared.bus.rabbitmq.subscription import RabbitMQSubscription
from shared.contracts.envelope import Event, Received
from shared.contracts.payload import utc_now
from shared.contracts.topology import DIRECT, Exchange, Queue
from shared.errors import BackchatError, Unavailable

logger = structlog.get_logger(__name__)

FLUSH_TIMEOUT = 3.0  # seconds that leaving waits for what is still to be published


class RabbitMQBus:
    """See `shared.bus.port.Bus`. `url` may name several addresses, separated by commas; they are tried in turn.

    Enter it in a running loop; entering does not wait for the broker, leaving takes a few seconds at most.
    """

    def __init__(self, url: str, *, name: str, registry: CollectorRegistry | None = None) -> None:
        """Raises `ValueError` (which names no password) if one of the addresses is none."""
        self._addresses = [URL(address.strip()) for address in url.split(",")]
        if any(address.scheme not in {"amqp", "amqps"} or not address.host for address in self._addresses):
            raise ValueError("each address must have the form amqp://user:password@host:port/vhost")
        self._name = name
        self._instance = f"{name}.{uuid4()}"
        self._metrics = BusMetrics(registry)
        self._exchanges: dict[str, Exchange] = {}
        self._queues: dict[str, Queue] = {}
        self._subscriptions: set[RabbitMQSubscription] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._replies = Replies(on_broken=self._replies_broken)
        self._publishing = Link(
            self._addresses,
            name=f"{self._name} publish",
            prepare=self._declare_all,
            on_loss=self._metrics.losses.inc,
        )
        self._consuming = Link(
            self._addresses,
            name=f"{self._name} consume",
            prepare=self._replies.prepare,
            on_loss=self._consuming_lost,
        )
        self._publisher = Publisher(self._publishing, self._metrics)
        for run in (self._publishing.run, self._consuming.run, self._publisher.run):
            task = asyncio.create_task(run(), name=f"bus {run.__qualname__}")
            task.add_done_callback(report_death)
            self._tasks.append(task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._publisher.drain(FLUSH_TIMEOUT)
        self._publisher.close()
        self._replies.lost()
        for subscription in list(self._subscriptions):
            await subscription.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self._publishing.close(), self._consuming.close(), return_exceptions=True)

    def _replies_broken(self) -> None:
        self._consuming.abort()

    def _consuming_lost(self) -> None:
        self._metrics.losses.inc()
        self._replies.lost()

    @property
    def connected(self) -> bool:
        """Whether publishing, consuming and every subscription work just now."""
        return (
            self._publisher.open
            and self._consuming.open
            and self._replies.open
            and all(subscription.active for subscription in self._subscriptions)
            and not any(task.done() for task in self._tasks)
        )

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        """See the port.

        Raises:
            Unavailable: the broker refuses, for one that exists with other arguments.
        """
        self._exchanges.update((exchange.name, exchange) for exchange in exchanges)
        self._queues.update((queue.name, queue) for queue in queues)
        while True:
            connection = await self._publishing.current()
            try:
                await self._declare(connection, exchanges, queues)
            except Broken:
                await asyncio.sleep(0.1)  # seconds; the link is being made anew
            except aiormq.AMQPChannelError as error:
                raise Unavailable(f"The broker refuses the topology: {error}") from error
            else:
                return

    async def _declare_all(self, connection: aiormq.Connection) -> None:
        await self._declare(connection, tuple(self._exchanges.values()), tuple(self._queues.values()))

    @staticmethod
    async def _declare(connection: aiormq.Connection, exchanges: Sequence[Exchange], queues: Sequence[Queue]) -> None:
        if not exchanges and not queues:
            return
        channel = await open_channel(connection, publisher_confirms=False)
        for exchange in exchanges:
            await declare_exchange(channel, exchange)
        for queue in queues:
            await declare_queue(channel, queue, queue.name)
        await call(channel.close())

    async def exists(self, queue: Queue) -> bool:
        """See the port.

        Raises:
            Unavailable: nobody could tell within a few seconds.
        """
        try:
            connection = await call(self._publishing.current())
            channel = await open_channel(connection, publisher_confirms=False)
            await call(channel.queue_declare(queue.name, passive=True))
            await call(channel.close())
        except aiormq.ChannelNotFoundEntity:
            return False
        except (Broken, aiormq.AMQPError) as error:
            raise Unavailable("The broker did not answer.") from error
        return True

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        """See the port."""
        return self._publisher.send(exchange, key, event.encode())

    def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> Awaitable[None]:
        """See the port."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        left = len(publications)
        failed: list[BaseException] = []
        if not left:
            done.set_result(None)

        def settle(held: asyncio.Future[None]) -> None:
            nonlocal left
            left -= 1
            if error := held.exception():
                failed.append(error)
            if left or done.done():
                return
            if failed:
                done.set_exception(failed[0])
                done.exception()  # read: nobody may wait
            else:
                done.set_result(None)

        for exchange, key, event in publications:
            self._publisher.send(exchange, key, event.encode()).add_done_callback(settle)
        return done

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """See the port."""
        self._publisher.send_and_forget(exchange, key, event.encode())

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        """See the port."""
        if not self._publisher.open or not self._replies.open:
            raise Unavailable("No connection to the broker.")
        deadline = utc_now() + timedelta(seconds=timeout)
        event = replace(event, replyto=self._replies.name, deadline=deadline)
        answer = self._replies.expect(event.id)
        sent = self._publisher.send(exchange, key, event.encode(), kept=False)
        sent.add_done_callback(partial(self._fail_request, event.id))
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise Unavailable("No answer in time.") from None
        finally:
            self._replies.forget(event.id, answer)

    def _fail_request(self, event_id: str, sent: asyncio.Future[None]) -> None:
        error: Any = None if sent.cancelled() else sent.exception()
        if isinstance(error, BackchatError):
            self._replies.fail(event_id, error)

    def respond(self, to: Received, answer: Event) -> None:
        """See the port."""
        if to.replyto:
            self._publisher.send_and_forget(DIRECT, to.replyto, replace(answer, correlationid=to.id).encode())

    async def subscribe(self, queue: Queue, *, prefetch: int) -> RabbitMQSubscription:
        """See the port."""
        subscription = RabbitMQSubscription(
            queue,
            prefetch=prefetch,
            link=self._consuming,
            instance=self._instance,
            on_close=self._subscriptions.discard,
        )
        self._subscriptions.add(subscription)
        try:
            await subscription.opened()
        except asyncio.CancelledError:
            await subscription.close()
            raise
        return subscription
