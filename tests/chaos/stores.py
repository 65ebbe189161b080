"""The private database and broker of a run."""

from __future__ import annotations

import psycopg

from tests.support.cluster import RabbitMQCluster
from tests.support.postgresql import PostgreSQL
from tests.support.rabbitmq import RabbitMQ

DATABASE = "backchat"
CONNECT_TIMEOUT = 20  # seconds


class DurablePostgreSQL(PostgreSQL):
    """As in production: every commit is on the disk."""

    SETTINGS: tuple[str, ...] = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB")
    SETTINGS += ("max_connections=200", "listen_addresses=127.0.0.1", "timezone=UTC")


class Stores:
    """The private database and broker, one node or a cluster of three."""

    def __init__(self, nodes: int) -> None:
        self.postgresql = DurablePostgreSQL()
        self.cluster = RabbitMQCluster(nodes) if nodes > 1 else None
        self.nodes: list[RabbitMQ] = self.cluster.nodes if self.cluster else [RabbitMQ()]

    def start(self) -> None:
        """Start both, and make the database."""
        self.postgresql.start()
        with psycopg.connect(
            self.postgresql.url().replace("+asyncpg", ""), autocommit=True, connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        if self.cluster:
            self.cluster.start()
        else:
            self.nodes[0].start()

    def settle(self) -> None:
        """Let a single node write its registry of queues to disk, as it does by itself a little later."""
        if not self.cluster:
            self.nodes[0].settle()

    def versions(self) -> dict[str, str]:
        """What runs."""
        with psycopg.connect(
            self.postgresql.url().replace("+asyncpg", ""), connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            found = {"postgresql": str(connection.info.parameter_status("server_version"))}
        return found | {"rabbitmq": self.nodes[0].ctl("version").strip(), "rabbitmq_nodes": str(len(self.nodes))}

    def stop(self) -> None:
        """End both and remove their data."""
        if self.cluster:
            self.cluster.stop()
        else:
            self.nodes[0].stop()
        self.postgresql.stop()
