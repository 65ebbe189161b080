"""A connection that stalls while one of its consumers is closed: afterwards all consumers continue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from yarl import URL

from shared.bus.rabbitmq import RabbitMQBus
from shared.bus.rabbitmq.calls import CallFailed, call
from tests.integration.rabbitmq_bus.conftest import LOG, log_queue, note, read
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.waiting import until

STUCK = 6.0  # seconds; aiormq closes a connection that received nothing for 9


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    address = URL(amqp_url)
    proxy = await Proxy((address.host or "", address.port or 0), free_port()).start()
    yield proxy
    await proxy.stop()


async def test_deliveries_to_a_closed_consumer_do_not_block_its_connection(
    amqp_url: str, bus: RabbitMQBus, proxy: Proxy
) -> None:
    """The broker delivers to a channel until it handles its close: here 100 bodies."""
    queues = [log_queue("left"), log_queue("kept")]
    await bus.declare([LOG], queues)
    stalling = str(URL(amqp_url).with_host("127.0.0.1").with_port(proxy.port))
    async with RabbitMQBus(stalling, name="stalling") as behind:
        left, kept = [await behind.subscribe(queue, prefetch=1_000) for queue in queues]
        proxy.stall()
        for number in range(100):
            await bus.publish(LOG, "left", note(number))
        assert left._consumer
        with pytest.raises(CallFailed):  # like the check whether the broker knows the consumer
            await call(left._consumer.channel.declare_queue(left._consumer.name, passive=True), 0.2)
        await left.close()  # the proxy holds the close, and the deliveries before it
        proxy.resume()
        await bus.publish(LOG, "kept", note(1))
        assert await read(kept, 1, seconds=STUCK) == [1]
        again = await behind.subscribe(queues[0], prefetch=1_000)
        assert await read(again, 100, seconds=STUCK) == list(range(100))
        await asyncio.gather(again.close(), kept.close())


async def test_unanswered_channel_close_replaces_the_connection(amqp_url: str, bus: RabbitMQBus, proxy: Proxy) -> None:
    """At once: aiormq would send a second Channel.Close, for which the broker would close the connection later."""
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
