"""Stops: which replies somebody wants no more of. Heard by every worker, kept for a while, told to whom it concerns."""

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

REMEMBERED = 600.0  # seconds that a stop waits for a turn that has not come yet
STOPS_MAX = 50_000  # remembered at once, about 15 MB; then the oldest goes
PREFETCH = 500  # bodies

Key = tuple[UUID, UUID]


class Stops:
    """What was stopped lately, by session *and* message: a stop means nothing outside the session it was asked in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Key, float] = {}  # in order of arrival, which is the order of expiry
        self._watchers: dict[Key, Callable[[], None]] = {}

    def add(self, stop: StopTurn) -> None:
        """Remember a stop, and tell whoever watches its turn."""
        key = (stop.session_id, stop.message_id)
        self._forget()
        self._until.pop(key, None)  # to the end of the line
        self._until[key] = self._clock() + REMEMBERED
        if (told := self._watchers.get(key)) is not None:
            told()

    def holds(self, turn: RunTurn) -> bool:
        """Whether this turn was stopped."""
        return self._until.get(_key(turn), 0.0) > self._clock()

    @contextmanager
    def watch(self, turn: RunTurn, told: Callable[[], None]) -> Iterator[None]:
        """Have `told` called when the turn is stopped from now on."""
        key = _key(turn)
        self._watchers[key] = told
        try:
            yield
        finally:
            if self._watchers.get(key) is told:
                del self._watchers[key]

    def _forget(self) -> None:
        now = self._clock()
        while self._until:
            key, until = next(iter(self._until.items()))
            if until > now and len(self._until) < STOPS_MAX:
                return
            del self._until[key]


async def hear(bus: Bus) -> Subscription:
    """From its return on, everything that is told to all workers is heard."""
    await bus.declare((CONTROL,))
    return await bus.subscribe(control_queue(SOURCE), prefetch=PREFETCH)


async def listen(subscription: Subscription, stops: Stops) -> None:
    """Take in what is told to all workers, until cancelled."""
    try:
        while True:
            taken = await subscription.take()
            for delivery in taken.deliveries:
                _take_in(delivery.body, stops)
            await subscription.ack(taken.deliveries)
    finally:
        await subscription.close()


def _take_in(body: bytes, stops: Stops) -> None:
    try:
        for event in read_body(body):
            if event.type == StopTurn.TYPE:
                stops.add(event.parse(StopTurn))
    except MalformedEvent as error:
        logger.warning("a stop that cannot be read", reason=str(error))  # persistence ends that turn by itself


def _key(turn: RunTurn) -> Key:
    return turn.session_id, turn.message_id
