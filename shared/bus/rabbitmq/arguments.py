"""The topology table in AMQP's words: pure, but for the calls that declare it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiormq.abc import AbstractChannel

from shared.bus.rabbitmq.link import call
from shared.contracts.topology import DELIVERY_LIMIT, LOST, Exchange, Queue


def queue_arguments(queue: Queue, name: str) -> dict[str, Any]:
    """The `x-` arguments of a queue that is called `name` on the broker.

    Every shared one is a quorum queue: a durable classic one lives on one node of a cluster, and can be neither
    used nor declared while that node is away.
    """
    if queue.kind == "exclusive":
        arguments: dict[str, Any] = {"x-queue-type": "classic"}
    else:
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
    if queue.single_active_consumer:
        arguments["x-single-active-consumer"] = True
    if queue.max_bytes is not None:
        arguments["x-max-length-bytes"] = queue.max_bytes
    if queue.max_length is not None:
        arguments["x-max-length"] = queue.max_length
    if queue.max_bytes is not None or queue.max_length is not None:
        arguments["x-overflow"] = queue.overflow
    if queue.message_ttl is not None:
        arguments["x-message-ttl"] = round(queue.message_ttl * 1000)  # milliseconds
    if has_sentinel(queue):
        arguments["x-dead-letter-exchange"] = LOST.name  # not the default one, which would let its user write anywhere
        arguments["x-dead-letter-routing-key"] = sentinel_name(name)
    return arguments


def has_sentinel(queue: Queue) -> bool:
    """Whether the queue drops silently, so that a sentinel must tell of it."""
    bounded = queue.max_bytes is not None or queue.max_length is not None
    return queue.kind == "exclusive" and bounded and queue.overflow == "drop-head"


def sentinel_name(name: str) -> str:
    """The queue that gets what an exclusive queue had to drop; it keeps one message, which says enough."""
    return f"{name}.lost"


async def declare_exchange(channel: AbstractChannel, exchange: Exchange) -> None:
    """Declare one exchange; the default one is always there."""
    if exchange.name:
        await call(channel.exchange_declare(exchange.name, exchange_type=exchange.kind, durable=True))


async def declare_queue(channel: AbstractChannel, queue: Queue, name: str) -> None:
    """Declare one queue, the exchanges it is bound to, and its bindings.

    An exclusive one goes with its consumer: one whose channel alone is lost must not fill up unread.
    """
    exclusive = queue.kind == "exclusive"
    await call(
        channel.queue_declare(
            name,
            durable=not exclusive,
            exclusive=exclusive,
            auto_delete=exclusive,
            arguments=queue_arguments(queue, name),
        )
    )
    await bind(channel, name, queue.bindings)


async def bind(channel: AbstractChannel, name: str, bindings: Iterable[tuple[Exchange, str]]) -> None:
    """Bind a queue, after the exchanges are sure to be there: a missing one would close the channel."""
    declared: set[str] = set()
    for exchange, key in bindings:
        if exchange.name not in declared:
            await declare_exchange(channel, exchange)
            declared.add(exchange.name)
        await call(channel.queue_bind(name, exchange.name, key))
