"""Random histories of publishing, taking, acking, fail-over, restarts and crashes, against a small model.

The model is one list of numbers for each key: confirmed, in order. A queue may hand over only the next of
each key; what was handed over and not acked comes again from there, counted higher.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus, Delivery, Subscription
from tests.contract.bus.brokers import Broker, Names, number, numbers, rabbitmq

KEYS = ("a", "b", "c")
PREFETCH = 4
OWED = 3.0  # seconds until what must come is missing


@dataclass
class Key:
    """What a key's events went through. Numbers are places in `confirmed`, so they need no list of their own."""

    confirmed: int = 0
    settled: int = 0  # acked; for sure never to come again below `certain`
    certain: int = 0
    handed: int = 0  # handed over since the consumer began
    began: bool = True  # false after a crash until the first delivery, which may lie below `settled`
    times: dict[int, int] = field(default_factory=dict)  # deliveries without an ack


class BusMachine(RuleBasedStateMachine):
    """Drives one queue with a single active consumer, on a bus that is opened again and again."""

    def __init__(self, start: Callable[[], Any]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.broker: Place = start()
        self.names = Names()
        self.queue = self.names.partition(KEYS)
        self.keys = {key: Key() for key in KEYS}
        self.taken: list[Delivery] = []
        self.stale: list[Delivery] = []
        self.entered: AbstractAsyncContextManager[Bus]
        self.consumers: list[Subscription] = []

    def run(self, work: Any) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(OWED):
                return await work

        return self.runner.run(bounded())

    @initialize()
    def open(self) -> None:
        self.entered = self.broker.open()
        self.bus = self.run(self.entered.__aenter__())
        self.run(self.bus.declare([self.names.log], [self.queue]))
        self.subscribe()

    def subscribe(self) -> None:
        self.consumers.append(self.run(self.bus.subscribe(self.queue, prefetch=PREFETCH)))

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=12), at_once=st.booleans())
    def publish(self, keys: list[str], *, at_once: bool) -> None:
        publications = []
        for key in keys:
            publications.append((self.names.log, key, number(self.keys[key].confirmed)))
            self.keys[key].confirmed += 1

        async def together() -> None:
            if at_once:
                await self.bus.publish_all(publications)
            else:
                for publication in publications:
                    await self.bus.publish(*publication)

        self.run(together())

    def owed(self) -> bool:
        return any(key.handed < key.confirmed for key in self.keys.values())

    @precondition(lambda self: len(self.taken) < PREFETCH and self.owed())
    @rule(most=st.integers(1, 5))
    def take(self, most: int) -> None:
        batch = self.run(self.consumers[0].take(most))
        assert batch.deliveries
        assert len(batch.deliveries) <= most
        assert not batch.gap
        self.taken += batch.deliveries
        for delivery in batch.deliveries:
            self.check(delivery)
        assert len(self.taken) <= PREFETCH

    def check(self, delivery: Delivery) -> None:
        key = self.keys[delivery.key]
        for n in numbers([delivery]):
            if not key.began:
                assert key.certain <= n <= key.settled  # an ack that was lost in a crash
                key.began, key.handed, key.settled = True, n, n
            assert n == key.handed, f"{delivery.key}: {n} instead of {key.handed}"
            key.handed += 1
            before = key.times.get(n, 0)
            exactly = self.broker.exact and not self.broker.crashes
            assert delivery.delivery_count == before if exactly else delivery.delivery_count >= before
            key.times[n] = before + 1

    @precondition(lambda self: self.taken)
    @rule(count=st.integers(1, PREFETCH))
    def ack(self, count: int) -> None:
        settled, self.taken = self.taken[:count], self.taken[count:]
        for delivery in settled:
            self.keys[delivery.key].settled = numbers([delivery])[-1] + 1
        self.run(self.consumers[0].ack(settled))

    @precondition(lambda self: self.stale)
    @rule()
    def ack_what_is_no_longer_ours(self) -> None:
        self.run(self.consumers[0].ack(self.stale))

    @precondition(lambda self: len(self.consumers) < 3)
    @rule()
    def stand_by(self) -> None:
        self.subscribe()

    @rule()
    def fail_over(self) -> None:
        self.run(self.consumers.pop(0).close())
        self.given_back()
        if not self.consumers:
            self.subscribe()

    @rule()
    def restart(self) -> None:
        self.leave()
        for key in self.keys.values():
            if key.began:
                key.certain = key.settled
        self.open()

    @precondition(lambda self: self.broker.crash is not None)
    @rule()
    def crash(self) -> None:
        self.broker.crash()
        self.leave()  # what this bus still writes goes to the file that is no longer used
        for key in self.keys.values():
            key.began = key.certain == key.confirmed
            key.times = dict.fromkeys(key.times, 1)  # a crash forgets how often, not that it was
        self.open()

    def leave(self) -> None:
        self.run(self.entered.__aexit__(None, None, None))
        self.consumers.clear()
        self.given_back()

    def given_back(self) -> None:
        self.stale, self.taken = self.taken, []
        for key in self.keys.values():
            key.handed = key.settled

    def teardown(self) -> None:
        try:
            if self.consumers:
                while self.owed():
                    self.ack(PREFETCH) if self.taken else None
                    self.take(5)
                assert all(key.handed == key.confirmed for key in self.keys.values())
                self.leave()
        finally:
            self.runner.close()
            self.broker.remove()


class Place:
    """Where one history plays: a fresh journal. `crash` puts the file as it is now in place of the one in use."""

    exact = True

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bus"))
        self.crashes = 0

    def open(self) -> AbstractAsyncContextManager[Bus]:
        return InProcessBus(self.directory / f"{self.crashes}.db")

    def crash(self) -> None:
        for suffix in ("", "-wal"):
            source = self.directory / f"{self.crashes}.db{suffix}"
            if source.exists():
                shutil.copy(source, self.directory / f"{self.crashes + 1}.db{suffix}")
        self.crashes += 1

    def remove(self) -> None:
        shutil.rmtree(self.directory)


class Elsewhere:
    """The same on a broker that is shared by all histories, each under names of its own."""

    crash = None
    crashes = 0

    def __init__(self, broker: Broker) -> None:
        self.exact = broker.exact
        self.open = broker.open

    def remove(self) -> None:
        """Nothing is left but queues of a vhost that goes with the test."""


def _run(start: Callable[[], Any], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: BusMachine(start),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.timeout(180)
def test_histories_in_process() -> None:
    _run(Place, examples=60, steps=30)


@pytest.mark.rabbitmq
@pytest.mark.timeout(180)
def test_histories_on_rabbitmq(amqp_url: str) -> None:
    _run(lambda: Elsewhere(rabbitmq(amqp_url)), examples=8, steps=25)
