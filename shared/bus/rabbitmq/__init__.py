"""The bus on RabbitMQ, 3.10 and 4.x: the only package that knows AMQP.

`link` keeps one connection alive; `publisher` sends what waits in `lanes`; `subscription` fills an `inbox`;
`replies` matches answers to requests; `arguments` puts the topology into AMQP; `bus` joins them into
`shared.bus.port.Bus`.
"""

from shared.bus.rabbitmq.bus import RabbitMQBus

__all__ = ["RabbitMQBus"]
