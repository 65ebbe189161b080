"""Random histories of publish, take, ack, failover, restart and crash, checked against a small model.

The model is the list of confirmed numbers of each key. A queue may deliver only the next number of each key; numbers that
were delivered and not acknowledged are redelivered from there, with a higher count.
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
OWED = 3.0  # seconds after which a delivery that must arrive is missing


@dataclass
class Key:
    """The state of a key's events. Each event's number is its place in the order of confirmation."""

    confirmed: int = 0
    acked: int = 0  # numbers below it are acknowledged; those below `certain` are never redelivered
    certain: int = 0
    delivered: int = 0  # the next number to deliver to the current consumer
    began: bool = True  # false after a crash until the first delivery, which may be below `acked`
    times: dict[int, int] = field(default_factory=dict)  # deliveries of each number without an ack


class BusMachine(RuleBasedStateMachine):
    """Drives one queue with a single active consumer, on a bus that is opened repeatedly."""

    def __init__(self, start: Callable[[], Any]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.broker: Any = start()
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
        return any(key.delivered < key.confirmed for key in self.keys.values())

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
                assert key.certain <= n <= key.acked  # the ack was lost in a crash
                key.began, key.delivered, key.acked = True, n, n
            assert n == key.delivered, f"{delivery.key}: {n} instead of {key.delivered}"
            key.delivered += 1
            before = key.times.get(n, 0)
            exactly = self.broker.exact and not self.broker.crashes
            assert delivery.delivery_count == before if exactly else delivery.delivery_count >= before
            key.times[n] = before + 1

    @precondition(lambda self: self.taken)
    @rule(count=st.integers(1, PREFETCH))
    def ack(self, count: int) -> None:
        acked, self.taken = self.taken[:count], self.taken[count:]
        for delivery in acked:
            self.keys[delivery.key].acked = numbers([delivery])[-1] + 1
        self.run(self.consumers[0].ack(acked))

    @precondition(lambda self: self.stale)
    @rule()
    def ack_stale_deliveries(self) -> None:
        self.run(self.consumers[0].ack(self.stale))

    @precondition(lambda self: len(self.consumers) < 3)
    @rule()
    def stand_by(self) -> None:
        self.subscribe()

    @rule()
    def fail_over(self) -> None:
        self.run(self.consumers.pop(0).close())
        self.requeued()
        if not self.consumers:
            self.subscribe()

    @rule()
    def restart(self) -> None:
        self.leave()
        for key in self.keys.values():
            if key.began:
                key.certain = key.acked
        self.open()

    @precondition(lambda self: self.broker.crash is not None)
    @rule()
    def crash(self) -> None:
        self.broker.crash()
        self.leave()  # what this bus still writes goes to the unused file
        for key in self.keys.values():
            key.began = key.certain == key.confirmed
            key.times = dict.fromkeys(key.times, 1)  # a crash resets the count to 1
        self.open()

    def leave(self) -> None:
        self.run(self.entered.__aexit__(None, None, None))
        self.consumers.clear()
        self.requeued()

    def requeued(self) -> None:
        self.stale, self.taken = self.taken, []
        for key in self.keys.values():
            key.delivered = key.acked

    def teardown(self) -> None:
        try:
            if self.consumers:
                while self.owed():
                    self.ack(PREFETCH) if self.taken else None
                    self.take(5)
                assert all(key.delivered == key.confirmed for key in self.keys.values())
                self.leave()
        finally:
            self.runner.close()
            self.broker.remove()


class JournalPlace:
    """A fresh journal for one history. `crash` copies the file in its current state and continues with the copy."""

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


class BrokerPlace:
    """A broker that all histories share, each with unique names."""

    crash = None
    crashes = 0

    def __init__(self, broker: Broker) -> None:
        self.exact = broker.exact
        self.open = broker.open

    def remove(self) -> None:
        """The queues are deleted with the vhost of the test."""


def _run(start: Callable[[], Any], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: BusMachine(start),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.timeout(180)
def test_random_histories_match_the_model_in_process() -> None:
    _run(JournalPlace, examples=60, steps=30)


@pytest.mark.rabbitmq
@pytest.mark.timeout(180)
def test_random_histories_match_the_model_on_rabbitmq(amqp_url: str) -> None:
    _run(lambda: BrokerPlace(rabbitmq(amqp_url)), examples=8, steps=25)
