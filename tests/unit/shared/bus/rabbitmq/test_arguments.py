"""Queue arguments of the topology table, and addresses of the broker."""

from __future__ import annotations

import pytest

from shared.bus.rabbitmq import RabbitMQBus
from shared.bus.rabbitmq.arguments import queue_arguments
from shared.contracts import topology
from shared.contracts.topology import MIB, Queue


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (
            topology.log_queue(0, 4),
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": 1_000_000,
                "x-single-active-consumer": True,
                "x-max-length-bytes": 256 * MIB,
                "x-overflow": "reject-publish",
            },
        ),
        (topology.turn_queue("echo"), {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}),
        (
            topology.query_queue(),
            {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000, "x-message-ttl": 5_000},
        ),
        (
            topology.delivery_queue("g"),
            {
                "x-queue-type": "classic",
                "x-max-length": 20_000,
                "x-max-length-bytes": 32 * MIB,
                "x-overflow": "drop-head",
                "x-dead-letter-exchange": "chat.lost",
                "x-dead-letter-routing-key": "delivery.g.lost",
            },
        ),
        (Queue("free", "exclusive"), {"x-queue-type": "classic"}),
    ],
)
def test_queue_has_exactly_these_arguments(queue: Queue, expected: dict[str, object]) -> None:
    """The broker refuses other arguments for a queue that exists."""
    assert queue_arguments(queue, queue.name) == expected


@pytest.mark.parametrize("url", ["", "amqp://a,", "amqp://a,b:5672", "http://a", "amqp:///vhost", "amqp://u:secret@"])
def test_malformed_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        RabbitMQBus(url, name="test")
    assert "secret" not in str(caught.value)
