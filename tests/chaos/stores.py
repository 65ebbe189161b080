"""Private database and broker of a run."""

from __future__ import annotations

import psycopg

from tests.support.cluster import RabbitMQCluster
from tests.support.postgresql import PostgreSQL
from tests.support.rabbitmq import RabbitMQ

DATABASE = "backchat"
CONNECT_TIMEOUT = 20  # seconds


class DurablePostgreSQL(PostgreSQL):
    """PostgreSQL with fsync, as in production."""

    SETTINGS: tuple[str, ...] = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB")
    SETTINGS += ("max_connections=200", "listen_addresses=127.0.0.1", "timezone=UTC")


class Stores:
    """PostgreSQL, and RabbitMQ with one node or as a cluster."""

    def __init__(self, nodes: int) -> None:
        self.postgresql = DurablePostgreSQL()
        self.cluster = RabbitMQCluster(nodes) if nodes > 1 else None
        self.nodes: list[RabbitMQ] = self.cluster.nodes if self.cluster else [RabbitMQ()]

    def start(self) -> None:
        """Start both, and create the database."""
        self.postgresql.start()
        with psycopg.connect(
            self.postgresql.url().replace("+asyncpg", ""), autocommit=True, connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        if self.cluster:
            self.cluster.start()
        else:
            self.nodes[0].start()

    def flush(self) -> None:
        """Write the queue registry of a single node to disk, as the node does after a few seconds."""
        if not self.cluster:
            self.nodes[0].flush_registry()

    def versions(self) -> dict[str, str]:
        """Return the versions of both servers."""
        with psycopg.connect(
            self.postgresql.url().replace("+asyncpg", ""), connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            found = {"postgresql": str(connection.info.parameter_status("server_version"))}
        return found | {"rabbitmq": self.nodes[0].ctl("version").strip(), "rabbitmq_nodes": str(len(self.nodes))}

    def stop(self) -> None:
        """Stop both and remove their data."""
        if self.cluster:
            self.cluster.stop()
        else:
            self.nodes[0].stop()
        self.postgresql.stop()
