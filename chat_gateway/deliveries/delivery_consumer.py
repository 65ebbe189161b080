"""Deliveries: what persistence and the chatbots tell this gateway, and to whom it goes on."""

from __future__ import annotations

import asyncio
import time

import structlog

from chat_gateway.deliveries.session_deliveries import SessionEvents
from chat_gateway.deliveries.user_deliveries import UserEvents
from chat_gateway.events.message_publisher import Sending
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.sessions.catch_up import Following
from chat_gateway.sessions.registry import Registry
from shared.bus.port import Bus, Delivery
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.contracts.topology import delivery_queue

logger = structlog.get_logger(__name__)

PREFETCH = 500  # bodies
TAKE = 500  # bodies at once
BREATH = 500  # events or KiB, then the sockets' writers get a turn


class Deliveries:
    """The consumer of this gateway's own queue."""

    def __init__(
        self,
        bus: Bus,
        bindings: Bindings,
        registry: Registry,
        following: Following,
        sending: Sending,
        of_sessions: SessionEvents,
        of_users: UserEvents,
        metrics: Metrics,
    ) -> None:
        self._bus = bus
        self._bindings = bindings
        self._registry = registry
        self._following = following
        self._sending = sending
        self._gap: asyncio.Task[None] | None = None
        self._gaps = metrics.gaps
        self._malformed = metrics.delivered.labels("malformed")
        self._of_sessions = of_sessions
        self._of_users = of_users
        kinds = (*of_sessions.handlers, *of_users.handlers)
        self._counters = {kind: metrics.delivered.labels(kind) for kind in kinds}

    async def run(self, name: str) -> None:
        """Consume for ever."""
        subscription = await self._bus.subscribe(delivery_queue(name), prefetch=PREFETCH)
        self._bindings.ready(subscription)
        while True:
            batch = await subscription.take(TAKE)
            if batch.gap:
                self._gaps.inc()
                self._following.doubt()
                self._send_again()
            taken = 0
            for delivery in batch.deliveries:
                taken += self.take(delivery) + len(delivery.body) // 1024
                if taken >= BREATH:
                    taken = 0
                    await asyncio.sleep(0)
            await subscription.ack(batch.deliveries)

    def _send_again(self) -> None:
        """A rejection may have been lost with the rest, and no number shows that."""
        if self._gap is not None:
            self._gap.cancel()  # the newer gap covers what the older one does
        self._gap = asyncio.create_task(self._sending.again(time.monotonic()), name="unheard of")

    def close(self) -> None:
        """Stop what is under way."""
        if self._gap is not None:
            self._gap.cancel()
        self._of_sessions.close()

    def take(self, delivery: Delivery) -> int:
        """Pass on what is in one body, how many events; what does not parse is counted and left."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent:
            self._malformed.inc()
            return 1
        of_users = delivery.key.startswith("u.")
        for event in events:
            try:
                self._one(event, delivery.key if of_users else None)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self._malformed.inc()
                logger.warning("event of an unknown form", type=event.type, reason=type(error).__name__)
        return len(events)

    def _one(self, event: Received, user_bucket: str | None) -> None:
        if user_bucket is not None:
            to_users = self._of_users.handlers.get(event.type)
            if to_users is not None:
                self._counters[event.type].inc()
                to_users(event.data, user_bucket)
            return
        if self._registry.find(event.subject) is None:
            return
        to_session = self._of_sessions.handlers.get(event.type)
        if to_session is not None:
            self._counters[event.type].inc()
            to_session(event.data)
