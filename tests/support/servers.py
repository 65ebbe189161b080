"""Private PostgreSQL and RabbitMQ servers for tests, as child processes on free ports in temporary directories.

Servers that are running already are not touched. `kill` simulates a crash and `pause` a frozen machine; `start` and
`restart` use the same port and data again.
"""

from tests.support.children import NotInstalled
from tests.support.postgresql import PostgreSQL
from tests.support.rabbitmq import RabbitMQ

__all__ = ["NotInstalled", "PostgreSQL", "RabbitMQ"]
