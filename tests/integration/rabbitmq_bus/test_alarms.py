"""Alarms of the broker (contract P11): publications fail in time, nothing confirmed is lost, and readiness names them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry

from shared.bus.port import missing_of
from shared.bus.rabbitmq import RabbitMQBus
from shared.errors import Unavailable
from tests.integration.rabbitmq_bus.conftest import INBOX, LOG, log_queue, note, publish_until_confirmed, read
from tests.support.broker_alarms import KINDS, alarmed, clear_alarms
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import pause, until

pytestmark = pytest.mark.timeout(180)

PROMISED = 6.0  # seconds until `unavailable`
BACK = 5.0  # seconds after the end of the alarm
HEARTBEATS_MISSED = 12.0  # seconds; aiormq gives up a connection after 9


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """A broker of these tests, since an alarm blocks all vhosts."""
    server = RabbitMQ()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def bus(broker: RabbitMQ, registry: CollectorRegistry) -> AsyncIterator[RabbitMQBus]:
    async with RabbitMQBus(broker.fresh_vhost(), name="alarms", registry=registry) as bus:
        yield bus


def _named(missing: list[str], kinds: list[str]) -> bool:
    """Whether the alarms are named; of several the broker reports those that are active when it blocks."""
    return missing[:1] == ["broker"] and bool(missing[1:]) and {*missing[1:]} <= {f"{kind} alarm" for kind in kinds}


@pytest.mark.parametrize("kinds", KINDS, ids=" and ".join)
async def test_alarm_is_named_and_loses_no_confirmed_event(
    broker: RabbitMQ, bus: RabbitMQBus, kinds: list[str]
) -> None:
    subscription = await bus.subscribe(log_queue(), prefetch=10)
    await bus.publish(LOG, "0", note(1))
    assert missing_of(bus) == []
    async with alarmed(broker, kinds):
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await bus.publish(LOG, "0", note(2))
        assert time.monotonic() - begun < PROMISED
        await until(lambda: _named(missing_of(bus), kinds))
        assert bus.connected, "the connections stay open"
        assert await read(subscription, 1) == [1], "consumers continue"
    await publish_until_confirmed(bus, LOG, "0", note(3), within=BACK)
    await until(lambda: missing_of(bus) == [], BACK)
    numbers = await read(subscription, 2)
    assert (numbers[0], numbers[-1]) == (2, 3), "the event with the unknown outcome is sent before the next one"


@pytest.mark.parametrize("kinds", [["memory"], ["disk"]], ids=" and ".join)
async def test_alarm_that_precedes_the_connection_is_named_by_an_idle_bus(broker: RabbitMQ, kinds: list[str]) -> None:
    """Declaring, consuming and binding go on, so that a service that starts during an alarm works after it at once."""
    async with alarmed(broker, kinds), RabbitMQBus(broker.fresh_vhost(), name="late") as bus:
        await bus.declare([LOG], [log_queue()])
        await until(lambda: _named(missing_of(bus), kinds))
        await bus.declare([], [log_queue("1")])
        assert await bus.exists(log_queue("1"))
        subscription = await bus.subscribe(log_queue(), prefetch=10)
        inbox = await bus.subscribe(INBOX, prefetch=10)
        await inbox.bind(LOG, "0")
        unknown = asyncio.ensure_future(bus.publish(LOG, "0", note(1)))
        with pytest.raises(Unavailable):
            await unknown
        await clear_alarms(broker, kinds)
        assert await read(subscription, 1, seconds=BACK) == [1]
        await until(lambda: missing_of(bus) == [], BACK)


async def test_publications_in_flight_when_an_alarm_begins_are_stored_once_in_order(
    broker: RabbitMQ, bus: RabbitMQBus
) -> None:
    """Publishing continues for longer than two missed heartbeats; the connection stays, so no event is sent twice."""
    keys = [str(key) for key in range(4)]
    await bus.declare([LOG], [log_queue(key) for key in keys])
    sent: dict[str, list[asyncio.Future[None]]] = {key: [] for key in keys}
    stopped = asyncio.Event()

    async def send() -> None:
        while not stopped.is_set():
            for key in keys:
                text = "x" * 20_000
                sent[key].append(asyncio.ensure_future(bus.publish(LOG, key, note(len(sent[key]), text))))
            await pause(0.05, "the rate of the load")

    sending = asyncio.create_task(send())
    await until(lambda: len(sent["0"]) > 20)
    async with alarmed(broker, ["memory"]):
        begun = time.monotonic()
        await until(lambda: time.monotonic() - begun > HEARTBEATS_MISSED, 30)
        assert bus.connected
    await until(lambda: bus.alarms == (), BACK)
    await publish_until_confirmed(bus, LOG, "0", note(-1), within=BACK)
    stopped.set()
    await sending
    outcomes = {key: await asyncio.gather(*futures, return_exceptions=True) for key, futures in sent.items()}
    assert any(isinstance(outcome, Unavailable) for outcome in outcomes["0"])
    for key in keys:
        subscription = await bus.subscribe(log_queue(key), prefetch=1_000)
        stored = [number for number in await read(subscription, len(sent[key])) if number >= 0]
        assert stored == list(range(len(sent[key])))
        await subscription.close()


async def test_connection_that_is_lost_during_an_alarm_is_replaced_and_loses_no_event(
    broker: RabbitMQ, bus: RabbitMQBus, registry: CollectorRegistry
) -> None:
    await bus.declare([LOG])
    subscription = await bus.subscribe(log_queue(), prefetch=10)
    async with alarmed(broker, ["disk"]):
        await until(lambda: "disk alarm" in missing_of(bus))
        pending = asyncio.ensure_future(bus.publish(LOG, "0", note(1)))
        await asyncio.to_thread(broker.ctl, "close_all_connections", "--global", "test")
        await until(lambda: registry.get_sample_value("backchat_bus_connection_losses_total") == 2)
        await until(lambda: bus.connected and "disk alarm" in missing_of(bus), 15)
        with pytest.raises(Unavailable):
            await pending
    assert await read(subscription, 1, seconds=BACK) == [1]


async def test_bus_is_left_in_time_during_an_alarm(broker: RabbitMQ) -> None:
    async with alarmed(broker, ["memory"]):
        async with RabbitMQBus(broker.fresh_vhost(), name="leaving") as bus:
            await bus.declare([LOG], [log_queue()])
            await until(lambda: bus.alarms)
            unknown = asyncio.ensure_future(bus.publish(LOG, "0", note(1)))
            await until(lambda: not unknown.done())
            begun = time.monotonic()
        assert time.monotonic() - begun < PROMISED
        with pytest.raises(Unavailable):
            await unknown
