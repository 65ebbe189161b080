"""The bus on RabbitMQ, 3.10 and 4.x: the only package that knows AMQP.

`link` keeps one connection alive; `publisher` sends by group commit; `subscription` consumes;
`replies` matches answers to requests; `bus` joins them into `shared.bus.port.Bus`.
"""

from shared.bus.rabbitmq.bus import RabbitMQBus

__all__ = ["RabbitMQBus"]
