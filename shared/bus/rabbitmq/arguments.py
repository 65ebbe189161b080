"""Queue arguments: the limits and kinds of the topology table as `x-` arguments of RabbitMQ. Pure: no I/O."""

from __future__ import annotations

from typing import Any

from shared.contracts.topology import DELIVERY_LIMIT, LOST, Queue


def queue_arguments(queue: Queue, name: str) -> dict[str, Any]:
    """Return the arguments of a queue that is called `name` on the broker.

    Every shared queue is a quorum queue: a durable classic one lives on one node of a cluster, and can be neither
    used nor declared while that node is down.
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
        # Not the default exchange, on which its user could publish to any queue.
        arguments["x-dead-letter-exchange"] = LOST.name
        arguments["x-dead-letter-routing-key"] = sentinel_name(name)
    return arguments


def has_sentinel(queue: Queue) -> bool:
    """Whether the queue drops messages silently and therefore needs a sentinel queue."""
    bounded = queue.max_bytes is not None or queue.max_length is not None
    return queue.kind == "exclusive" and bounded and queue.overflow == "drop-head"


def sentinel_name(name: str) -> str:
    """Return the name of the queue that receives what exclusive queue `name` drops; it keeps one message."""
    return f"{name}.lost"


def sentinel_arguments() -> dict[str, Any]:
    """Return the arguments of a sentinel queue: one message is enough to report a loss."""
    return {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "drop-head"}
