"""`RabbitMQBus`: the port on RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import structlog
from aio_pika.exceptions import AMQPChannelError, AMQPError
from prometheus_client import CollectorRegistry
from yarl import URL

from shared.bus.port import REQUEST_TIMEOUT
from shared.bus.rabbitmq.calls import CallFailed, call, log_failure
from shared.bus.rabbitmq.connection import Connection, ConnectionSupervisor
from shared.bus.rabbitmq.declarations import TopologyChannel
from shared.bus.rabbitmq.metrics import BusMetrics
from shared.bus.rabbitmq.publisher import Publisher
from shared.bus.rabbitmq.responses import Responses
from shared.bus.rabbitmq.subscription import RabbitMQSubscription
from shared.contracts.envelope import Event, Received
from shared.contracts.payload import utc_now
from shared.contracts.topology import DIRECT, Exchange, Queue
from shared.errors import BackchatError, Unavailable

logger = structlog.get_logger(__name__)

FLUSH_TIMEOUT = 3.0  # seconds that leaving waits for pending publications
PUBLISHER_POLL = 0.01  # seconds
DECLARE_RETRY_INTERVAL = 0.1  # seconds, while the connection is being replaced


class RabbitMQBus:
    """See `shared.bus.port.Bus`. `url` may name several addresses, separated by commas; they are tried in turn.

    Enter it in a running event loop. Entering does not wait for the broker; leaving takes a few seconds at most.
    """

    def __init__(self, url: str, *, name: str, registry: CollectorRegistry | None = None) -> None:
        """Raises `ValueError`, without a password in its text, if an address is malformed."""
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
        self._responses = Responses(on_broken=self._responses_broken)
        self._publishing = ConnectionSupervisor(
            self._addresses,
            name=f"{self._name} publish",
            prepare=self._prepare_publishing,
            on_loss=self._metrics.losses.inc,
        )
        self._consuming = ConnectionSupervisor(
            self._addresses,
            name=f"{self._name} consume",
            prepare=self._prepare_consuming,
            on_loss=self._consuming_lost,
        )
        self._publisher = Publisher(self._publishing, self._metrics)
        runs = {
            "publishing": self._publishing.run(),
            "consuming": self._consuming.run(),
            "publisher": self._publisher.run(),
            "alarms": self._publisher.alarms.run(self._publishing),
        }
        for name, run in runs.items():
            task = asyncio.create_task(run, name=f"bus {name}")
            task.add_done_callback(log_failure)
            self._tasks.append(task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._publisher.drain(FLUSH_TIMEOUT)
        self._publisher.close()
        self._responses.fail_all()
        for subscription in list(self._subscriptions):
            await subscription.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self._publishing.close(), self._consuming.close(), return_exceptions=True)

    def _responses_broken(self) -> None:
        self._consuming.abort()

    def _consuming_lost(self) -> None:
        self._metrics.losses.inc()
        self._responses.fail_all()

    @property
    def connected(self) -> bool:
        """Whether publishing, consuming and every subscription work at the moment."""
        return (
            self._publisher.open
            and self._consuming.open
            and self._responses.open
            and all(subscription.active for subscription in self._subscriptions)
            and not any(task.done() for task in self._tasks)
        )

    @property
    def alarms(self) -> Sequence[str]:
        """See the port."""
        return self._publisher.alarms.names

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        """See the port. It uses the consuming connection, which no alarm blocks.

        Raises:
            Unavailable: the broker refuses one that exists with other arguments.
        """
        self._exchanges.update((exchange.name, exchange) for exchange in exchanges)
        self._queues.update((queue.name, queue) for queue in queues)
        while True:
            await self._consuming.current()
            try:
                await self._topology.declare(exchanges, queues)
            except CallFailed:
                await asyncio.sleep(DECLARE_RETRY_INTERVAL)
            except AMQPChannelError as error:
                raise Unavailable(f"The broker refuses the topology: {error}") from error
            else:
                break
        while not self._publisher.open:  # noqa: ASYNC110 - callers publish next
            await asyncio.sleep(PUBLISHER_POLL)
        for exchange in exchanges:
            self._publisher.alarms.probe_through(exchange)

    async def _prepare_publishing(self, connection: Connection) -> None:
        """Declare everything again, since the broker may have lost it, before an event is published."""
        self._publisher.alarms.watch(connection)
        await TopologyChannel(connection).declare(tuple(self._exchanges.values()), tuple(self._queues.values()))

    async def _prepare_consuming(self, connection: Connection) -> None:
        await self._responses.prepare(connection)
        self._topology = TopologyChannel(connection)

    async def exists(self, queue: Queue) -> bool:
        """See the port.

        Raises:
            Unavailable: the broker did not answer within a few seconds.
        """
        try:
            await call(self._consuming.current())
            return await self._topology.exists(queue)
        except (CallFailed, AMQPError) as error:
            raise Unavailable("The broker did not answer.") from error

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

        def count(outcome: asyncio.Future[None]) -> None:
            nonlocal left
            left -= 1
            if error := outcome.exception():
                failed.append(error)
            if left or done.done():
                return
            if failed:
                done.set_exception(failed[0])
                done.exception()  # read: the caller may have dropped it
            else:
                done.set_result(None)

        for exchange, key, event in publications:
            self._publisher.send(exchange, key, event.encode()).add_done_callback(count)
        return done

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        """See the port."""
        self._publisher.send_and_forget(exchange, key, event.encode())

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = REQUEST_TIMEOUT) -> Received:
        """See the port."""
        if not self._publisher.open or not self._responses.open:
            raise Unavailable("No connection to the broker.")
        deadline = utc_now() + timedelta(seconds=timeout)
        event = event.replace(replyto=self._responses.name, deadline=deadline)
        answer = self._responses.expect(event.id)
        sent = self._publisher.send(exchange, key, event.encode(), resend=False)
        sent.add_done_callback(partial(self._fail_request, event.id))
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise Unavailable("No answer in time.") from None
        finally:
            self._responses.forget(event.id, answer)

    def _fail_request(self, event_id: str, sent: asyncio.Future[None]) -> None:
        error: Any = None if sent.cancelled() else sent.exception()
        if isinstance(error, BackchatError):
            self._responses.fail(event_id, error)

    def respond(self, to: Received, answer: Event) -> None:
        """See the port."""
        if to.replyto:
            self._publisher.send_and_forget(DIRECT, to.replyto, answer.replace(correlationid=to.id).encode())

    async def subscribe(self, queue: Queue, *, prefetch: int) -> RabbitMQSubscription:
        """See the port."""
        subscription = RabbitMQSubscription(
            queue,
            prefetch=prefetch,
            supervisor=self._consuming,
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
