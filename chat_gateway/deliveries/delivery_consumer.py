"""Deliveries: what persistence and the chatbots tell this gateway, and to whom it goes on."""

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
TAKE = 500  # bodies at once
YIELD_AFTER = 500  # events or KiB, then the sockets' writers get a turn


class DeliveryConsumer:
    """The consumer of this gateway's own queue."""

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
        """Consume for ever."""
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
        """A rejection may have been lost with the rest, and no number shows that."""
        if self._republishing is not None:
            self._republishing.cancel()  # the newer gap covers what the older one does
        self._republishing = asyncio.create_task(self._publisher.republish_pending(time.monotonic()), name="unheard of")

    def close(self) -> None:
        """Stop what is under way."""
        if self._republishing is not None:
            self._republishing.cancel()
        self._session_deliveries.close()

    def take(self, delivery: Delivery) -> int:
        """Pass on what is in one body, how many events; what does not parse is counted and left."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent:
            self._malformed.inc()
            return 1
        user_deliveries = delivery.key.startswith("u.")
        for event in events:
            try:
                self._one(event, delivery.key if user_deliveries else None)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self._malformed.inc()
                logger.warning("event of an unknown form", type=event.type, reason=type(error).__name__)
        return len(events)

    def _one(self, event: Received, user_bucket: str | None) -> None:
        if user_bucket is not None:
            to_users = self._user_deliveries.handlers.get(event.type)
            if to_users is not None:
                self._counters[event.type].inc()
                to_users(event.data, user_bucket)
            return
        if self._registry.find(event.subject) is None:
            return
        to_session = self._session_deliveries.handlers.get(event.type)
        if to_session is not None:
            self._counters[event.type].inc()
            to_session(event.data)
