"""A link that stalls while a consumer is given up: the other consumers of the connection go on as soon as it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from yarl import URL

from shared.bus.rabbitmq import RabbitMQBus
from shared.bus.rabbitmq.link import Broken, call
from tests.integration.rabbitmq_bus.conftest import LOG, log_queue, note, read, until
from tests.support.ports import free_port
from tests.support.proxy import Proxy

STUCK = 6.0  # seconds; aiormq gives a connection up that read nothing for 9


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    address = URL(amqp_url)
    proxy = await Proxy((address.host or "", address.port or 0), free_port()).start()
    yield proxy
    await proxy.stop()


async def test_deliveries_to_a_consumer_given_up_hold_nobody_else_up(
    amqp_url: str, bus: RabbitMQBus, proxy: Proxy
) -> None:
    """The broker goes on delivering to a channel until it hears that it is closed: here 100 bodies too many."""
    queues = [log_queue("left"), log_queue("kept")]
    await bus.declare([LOG], queues)
    stalling = str(URL(amqp_url).with_host("127.0.0.1").with_port(proxy.port))
    async with RabbitMQBus(stalling, name="stalling") as behind:
        left, kept = [await behind.subscribe(queue, prefetch=1_000) for queue in queues]
        proxy.stall()
        for number in range(100):
            await bus.publish(LOG, "left", note(number))
        assert left._channel
        with pytest.raises(Broken):  # as when it looks whether it went deaf
            await call(left._channel.queue_declare(left._name, passive=True), 0.2)
        await left.close()  # its good-bye waits in the proxy, and the deliveries before it
        proxy.resume()
        await bus.publish(LOG, "kept", note(1))
        assert await read(kept, 1, seconds=STUCK) == [1]
        again = await behind.subscribe(queues[0], prefetch=1_000)
        assert await read(again, 100, seconds=STUCK) == list(range(100))
        await asyncio.gather(again.close(), kept.close())


async def test_a_good_bye_that_nobody_answers_ends_the_connection(
    amqp_url: str, bus: RabbitMQBus, proxy: Proxy
) -> None:
    """At once, instead of a second good-bye, which the broker would end it for later: the others come back with it."""
    queues = [log_queue("left"), log_queue("kept")]
    await bus.declare([LOG], queues)
    stalling = str(URL(amqp_url).with_host("127.0.0.1").with_port(proxy.port))
    async with RabbitMQBus(stalling, name="stalling") as behind:
        left, kept = [await behind.subscribe(queue, prefetch=1_000) for queue in queues]
        stalled = await behind._consuming.current()
        proxy.stall()
        await left.close()
        await until(lambda: stalled.is_closed, STUCK)
        proxy.resume()
        await bus.publish(LOG, "kept", note(1))
        assert await read(kept, 1) == [1]
        await kept.close()
