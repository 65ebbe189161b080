"""Receives the stops of replies, keeps them for some time, and passes them to the executions they concern."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from chatbot_worker.replies.reply_stream import SOURCE
from shared.bus.port import Bus, Subscription
from shared.contracts.envelope import MalformedEvent, read_body
from shared.contracts.topology import CONTROL, control_queue
from shared.contracts.turns import RunTurn, StopTurn

logger = structlog.get_logger(__name__)

RETENTION = 600.0  # seconds that a stop is kept for a turn that arrives later
STOPS_MAX = 50_000  # kept at the same time, about 15 MB; above it the oldest are removed
PREFETCH = 500  # bodies

Key = tuple[UUID, UUID]  # session and message: a stop is valid only in the session in which it was requested


class Stops:
    """The stops that this worker keeps, and the callbacks of running turns."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Key, float] = {}  # in order of arrival, which is the order of expiry
        self._callbacks: dict[Key, Callable[[], None]] = {}

    def add(self, stop: StopTurn) -> None:
        """Keep a stop, and call the callback of its turn."""
        key = (stop.session_id, stop.message_id)
        self._forget_old()
        self._until.pop(key, None)  # to the end of the order
        self._until[key] = self._clock() + RETENTION
        if (callback := self._callbacks.get(key)) is not None:
            callback()

    def holds(self, turn: RunTurn) -> bool:
        """Return whether the turn was stopped."""
        return self._until.get(_key(turn), 0.0) > self._clock()

    @contextmanager
    def watch(self, turn: RunTurn, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` when the turn is stopped inside the context."""
        key = _key(turn)
        self._callbacks[key] = callback
        try:
            yield
        finally:
            if self._callbacks.get(key) is callback:
                del self._callbacks[key]

    def _forget_old(self) -> None:
        now = self._clock()
        while self._until:
            key, until = next(iter(self._until.items()))
            if until > now and len(self._until) < STOPS_MAX:
                return
            del self._until[key]


async def subscribe(bus: Bus) -> Subscription:
    """Subscribe to what is published to all workers; nothing is missed from the return on."""
    await bus.declare((CONTROL,))
    return await bus.subscribe(control_queue(SOURCE), prefetch=PREFETCH)


async def consume(subscription: Subscription, stops: Stops) -> None:
    """Add the stops that arrive until cancelled."""
    try:
        while True:
            taken = await subscription.take()
            for delivery in taken.deliveries:
                _add_all(delivery.body, stops)
            await subscription.ack(taken.deliveries)
    finally:
        await subscription.close()


def _add_all(body: bytes, stops: Stops) -> None:
    try:
        for event in read_body(body):
            if event.type == StopTurn.TYPE:
                stops.add(event.parse(StopTurn))
    except MalformedEvent as error:
        logger.warning("stop.unreadable", reason=str(error))  # persistence ends that turn itself


def _key(turn: RunTurn) -> Key:
    return turn.session_id, turn.message_id
