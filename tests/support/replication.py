"""A primary and a streaming standby of PostgreSQL, and the faults of a failover."""

from __future__ import annotations

import contextlib
from typing import Self

import psycopg

from tests.support.children import START_TIMEOUT
from tests.support.postgresql import PostgreSQL
from tests.support.waiting import wait_until


class Standby(PostgreSQL):
    """A standby that was copied from a primary, and can be promoted."""

    def __init__(self, primary: PostgreSQL) -> None:
        super().__init__()
        self._primary = primary

    def copy(self) -> Self:
        """Copy the primary with `pg_basebackup`."""
        data = self._home.path / "data"
        source = f"host=127.0.0.1 port={self._primary.port} user=app application_name=standby"
        command = [self._binaries / "pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", "-d", source]
        child = self._run("pg_basebackup", command)
        code = child.ended(timeout=START_TIMEOUT)
        assert code == 0, child.tail()
        return self

    def promote(self) -> None:
        """Promote; returns when it takes writes."""
        execute(self, "SELECT pg_promote(true, 60)")
        wait_until(lambda: execute(self, "SELECT NOT pg_is_in_recovery()"))


class Replicated:
    """A primary with one standby; both are removed by `stop`."""

    def __init__(self) -> None:
        self.primary = PostgreSQL()
        self.standby = Standby(self.primary)

    def start(self) -> Self:
        """Start both; returns when the standby streams."""
        self.primary.start()
        self.standby.copy().start()
        wait_until(lambda: execute(self.primary, "SELECT count(*) FROM pg_stat_replication"))
        return self

    def synchronous(self) -> None:
        """Make each commit wait for the standby."""
        execute(self.primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        execute(self.primary, "SELECT pg_reload_conf()")
        wait_until(lambda: execute(self.primary, "SHOW synchronous_standby_names") == "standby")
        state = "SELECT sync_state = 'sync' FROM pg_stat_replication"
        wait_until(lambda: execute(self.primary, state))

    def stop(self) -> None:
        """Stop both and remove their data."""
        for server in (self.standby, self.primary):
            with contextlib.suppress(Exception):
                server.resume()
            server.stop()


def execute(server: PostgreSQL, statement: str, database: str = "postgres") -> object:
    """Execute a statement outside of a transaction; return the first value of its first row."""
    dsn = server.url(database).replace("+asyncpg", "")
    with psycopg.connect(dsn, autocommit=True, connect_timeout=30) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
