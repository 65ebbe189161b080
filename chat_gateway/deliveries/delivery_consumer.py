"""Consumer of this gateway's delivery queue: what persistence, chatbots and other gateways publish to sockets."""

from __future__ import annotations

import asyncio
import time

import structlog

from chat_gateway.deliveries.session_deliveries import SessionDeliveries
from chat_gateway.deliveries.user_deliveries import UserDeliveries
from chat_gateway.events.message_publisher import MessagePublisher
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.sessions.catch_up import CatchUp
from chat_gateway.sessions.registry import SessionRegistry
from shared.bus.port import Bus, Delivery
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.contracts.topology import delivery_queue

logger = structlog.get_logger(__name__)

PREFETCH = 500  # bodies
TAKE = 500  # bodies in one batch
YIELD_AFTER = 500  # events, or KiB of bodies, after which the event loop may run the sockets' writers


class DeliveryConsumer:
    """Passes events on by their routing key: to the sockets of users, or to those that have joined a session."""

    def __init__(
        self,
        bus: Bus,
        bindings: Bindings,
        registry: SessionRegistry,
        catch_up: CatchUp,
        publisher: MessagePublisher,
        session_deliveries: SessionDeliveries,
        user_deliveries: UserDeliveries,
        metrics: Metrics,
    ) -> None:
        self._bus = bus
        self._bindings = bindings
        self._registry = registry
        self._catch_up = catch_up
        self._publisher = publisher
        self._republishing: asyncio.Task[None] | None = None
        self._gaps = metrics.gaps
        self._malformed = metrics.delivered.labels("malformed")
        self._session_deliveries = session_deliveries
        self._user_deliveries = user_deliveries
        kinds = (*session_deliveries.handlers, *user_deliveries.handlers)
        self._counters = {kind: metrics.delivered.labels(kind) for kind in kinds}

    async def run(self, name: str) -> None:
        """Consume the queue `delivery.<name>` until cancelled."""
        subscription = await self._bus.subscribe(delivery_queue(name), prefetch=PREFETCH)
        self._bindings.subscribed(subscription)
        while True:
            batch = await subscription.take(TAKE)
            if batch.gap:
                self._gaps.inc()
                self._catch_up.check_heads_now()
                self._republish_pending()
            taken = 0
            for delivery in batch.deliveries:
                taken += self.take(delivery) + len(delivery.body) // 1024
                if taken >= YIELD_AFTER:
                    taken = 0
                    await asyncio.sleep(0)
            await subscription.ack(batch.deliveries)

    def _republish_pending(self) -> None:
        # The gap may have held rejections, which have no sequence number that would show it.
        if self._republishing is not None:
            self._republishing.cancel()  # the newer gap covers the older one
        self._republishing = asyncio.create_task(
            self._publisher.republish_pending(time.monotonic()), name="republish pending messages"
        )

    def close(self) -> None:
        """Cancel the tasks and timers."""
        if self._republishing is not None:
            self._republishing.cancel()
        self._session_deliveries.close()

    def take(self, delivery: Delivery) -> int:
        """Pass on the events of one body and return their number; malformed ones are counted and skipped."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent:
            self._malformed.inc()
            return 1
        to_users = delivery.key.startswith("u.")
        for event in events:
            try:
                if to_users:
                    self._to_users(event, delivery.key)
                else:
                    self._to_session(event)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self._malformed.inc()
                logger.warning("delivery.malformed", type=event.type, reason=type(error).__name__)
        return len(events)

    def _to_users(self, event: Received, bucket: str) -> None:
        handler = self._user_deliveries.handlers.get(event.type)
        if handler is not None:
            self._counters[event.type].inc()
            handler(event.data, bucket)

    def _to_session(self, event: Received) -> None:
        session = self._registry.find(event.subject)
        if session is None:
            return
        handler = self._session_deliveries.handlers.get(event.type)
        if handler is not None:
            self._counters[event.type].inc()
            handler(session, event.data)
