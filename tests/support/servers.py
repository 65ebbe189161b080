"""Private PostgreSQL and RabbitMQ servers for tests: free ports, temporary directory, children of this process.

A server that is running already is never touched. `pause` is a frozen machine, `kill` a crash, and `restart`
and `start` come back on the same port and data.
"""

from tests.support.children import NotInstalled
from tests.support.postgresql import PostgreSQL
from tests.support.rabbitmq import RabbitMQ

__all__ = ["NotInstalled", "PostgreSQL", "RabbitMQ"]
