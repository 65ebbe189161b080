"""The bus on RabbitMQ, 3.10 and 4.x: the only package that uses AMQP, through aio-pika.

`bus` implements the port. `connection` keeps two connections open, one to publish and one to consume. `publisher`
batches the events of `send_buffer` and publishes them over `publisher_channel`. `subscription` takes from a
`receive_buffer`, which a `consumer` fills. `declarations` and `arguments` declare the topology, `responses` matches
responses to requests, `alarms` follows the alarms of the broker, `calls` limits the time of every call to it.
`checking` refuses an address that can never work.
"""

from shared.bus.rabbitmq.bus import RabbitMQBus
from shared.bus.rabbitmq.checking import refusal

__all__ = ["RabbitMQBus", "refusal"]
