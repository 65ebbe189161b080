"""Any AMQP client can exchange events with the bus: bodies, properties and queues are ordinary ones."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import aio_pika
import pytest

from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts import topology
from shared.contracts.envelope import Event, read_body
from shared.contracts.queries import Reply
from shared.contracts.topology import Exchange, Queue

pytestmark = pytest.mark.rabbitmq


def fresh_queue() -> tuple[Exchange, Queue]:
    name = f"interop-{uuid4().hex[:8]}"
    exchange = Exchange(name, "direct", persistent=True, mandatory=True)
    return exchange, Queue(name, "quorum", ((exchange, "k"),))


async def test_stock_client_reads_published_bodies(amqp_url: str) -> None:
    """A body is persistent, has the content type of a CloudEvents batch, and is plain JSON."""
    exchange, queue = fresh_queue()
    async with RabbitMQBus(amqp_url, name="interop") as bus, asyncio.timeout(20):
        await bus.declare((exchange,), (queue,))
        event = Event("interop", Reply(result={"n": 1}))
        await bus.publish(exchange, "k", event)
        async with await aio_pika.connect(amqp_url) as client:
            stock = await (await client.channel()).get_queue(queue.name)
            message = await stock.get(timeout=5)
            assert message is not None
            await message.ack()
    assert message.content_type == "application/cloudevents-batch+json"
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    [envelope] = json.loads(message.body)
    assert (envelope["id"], envelope["type"], envelope["data"]["result"]) == (event.id, Reply.TYPE, {"n": 1})


async def test_bus_reads_bodies_of_a_stock_client(amqp_url: str) -> None:
    """Several events in one body are read; unknown attributes are ignored."""
    exchange, queue = fresh_queue()
    envelope = {
        "specversion": "1.0",
        "id": "by-hand",
        "source": "/a/person",
        "type": Reply.TYPE,
        "time": "2026-11-23T09:30:00Z",
        "colour": "blue",
        "data": {"result": {"n": 2}},
    }
    async with RabbitMQBus(amqp_url, name="interop") as bus, asyncio.timeout(20):
        subscription = await bus.subscribe(queue, prefetch=10)
        await bus.declare((exchange, topology.DEAD))
        async with await aio_pika.connect(amqp_url) as client:
            target = await (await client.channel()).get_exchange(exchange.name)
            await target.publish(aio_pika.Message(json.dumps([envelope, envelope]).encode()), "k")
        [delivery] = (await subscription.take()).deliveries
        await subscription.ack([delivery])
    assert [(event.id, event.parse(Reply).result) for event in read_body(delivery.body)] == [("by-hand", {"n": 2})] * 2
