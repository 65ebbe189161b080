"""The private PostgreSQL and RabbitMQ that the systems share."""

from __future__ import annotations

import psycopg
from psycopg import sql

from benchmarks.processes import Parts
from tests.support.postgresql import PostgreSQL
from tests.support.rabbitmq import RabbitMQ

POSTGRESQL = "postgresql"
RABBITMQ = "rabbitmq"


class DurablePostgreSQL(PostgreSQL):
    """A PostgreSQL that writes every commit to disk, as in production."""

    SETTINGS: tuple[str, ...] = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB")
    SETTINGS += ("max_connections=200", "listen_addresses=127.0.0.1", "timezone=UTC")


class Stores:
    """The servers. Each is started on first use; `stop` stops both."""

    def __init__(self, processes: Parts) -> None:
        self._processes = processes
        self._postgresql: PostgreSQL | None = None
        self._rabbitmq: RabbitMQ | None = None

    def database(self, name: str) -> str:
        """Create an empty database; return its URL (`postgresql+asyncpg://…`)."""
        if self._postgresql is None:
            with self._processes.start(POSTGRESQL):
                self._postgresql = DurablePostgreSQL().start()
        admin = self._postgresql.url().replace("+asyncpg", "")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._postgresql.url(name)

    def broker(self) -> str:
        """Return the URL of the broker."""
        if self._rabbitmq is None:
            with self._processes.start(RABBITMQ):
                self._rabbitmq = RabbitMQ().start()
        return self._rabbitmq.url

    def versions(self) -> dict[str, str]:
        """Return the versions of the servers that were started."""
        found = {}
        if self._postgresql:
            with psycopg.connect(self._postgresql.url().replace("+asyncpg", "")) as connection:
                found["postgresql"] = str(connection.info.parameter_status("server_version"))
        if self._rabbitmq:
            found["rabbitmq"] = self._rabbitmq.ctl("version").strip()
        return found

    def stop(self) -> None:
        """Stop the servers."""
        for server in (self._rabbitmq, self._postgresql):
            if server:
                server.stop()
