"""Connections of asyncpg: to the first host that takes writes, with limits of time, also behind PgBouncer.

Three faults of a connection are hidden from SQLAlchemy by the driver, and handled here. A standby answers queries like
a primary. A COMMIT that waits for a synchronous standby succeeds with a warning when it is cancelled, although a
failover may lose it. A pooler refuses our start-up parameters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]

from shared.database.address import Address
from shared.database.errors import UnusablePooler

STATEMENT_TIMEOUT = 10  # seconds; the server cancels statements that take longer
LOCK_TIMEOUT = 5  # seconds
IDLE_IN_TRANSACTION_TIMEOUT = 3  # seconds; without it a frozen writer would block its successor without limit
COMMAND_TIMEOUT = STATEMENT_TIMEOUT + 1.0  # seconds; then the server does not answer
COMMIT_TIMEOUT = COMMAND_TIMEOUT
LIMITS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT}s",
    "lock_timeout": f"{LOCK_TIMEOUT}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT}s",
}
# For migrations: 24 days. A pooler that drops settings would not be noticed by 0, the default of the server.
NO_LIMITS = dict.fromkeys(LIMITS, "2147483647ms")
POOLER_TRIES = 3  # looks at the servers behind a pooler
STRANGE_STATEMENTS = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
OLD_POOLER = (
    "the connection pooler hands prepared statements to servers that do not know them: "
    "PgBouncer must be 1.21 or newer with max_prepared_statements > 0, or use pool_mode = session"
)


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose COMMIT is never cancelled, and which sets limits of time in each transaction if necessary."""

    limits = ""  # statements that follow each BEGIN, where the server has not taken the limits as start-up parameters
    _committing = False
    _commit_warned = False

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Execute a command; BEGIN and COMMIT of asyncpg's transactions come here too."""
        if query == "COMMIT;":
            return await self._commit()
        if self.limits and query.startswith("BEGIN"):
            query = f"{query}{self.limits}"
        return str(await super().execute(query, *args, timeout=timeout))

    async def _commit(self) -> str:
        """Commit, or close the connection without a cancel request.

        Cancelled, a COMMIT that waits for its synchronous standby becomes visible without being replicated. Without a
        cancel request it stays invisible and keeps its locks until the standby has it.

        Raises:
            TransactionResolutionUnknownError: it takes too long, or the server warned that it may not be replicated.
        """
        self._committing, self._commit_warned = True, False
        deadline = asyncio.get_running_loop().time() + COMMIT_TIMEOUT
        timer = asyncio.get_running_loop().call_at(deadline, self.terminate)
        try:
            status = str(await super().execute("COMMIT;", timeout=2 * COMMIT_TIMEOUT))
        except Exception as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise asyncpg.TransactionResolutionUnknownError("the COMMIT took too long") from error
            raise
        finally:
            timer.cancel()
            self._committing = False
        if self._commit_warned:
            self.terminate()
            raise asyncpg.TransactionResolutionUnknownError("the COMMIT may not be replicated")
        return status

    def noticed(self, _connection: Any, message: Any) -> None:
        """Keep a warning during a COMMIT. PostgreSQL has only one (01000): the wait for a standby was cancelled."""
        if self._committing and message.severity_en == "WARNING":
            self._commit_warned = True


class Opener:
    """Opens connections to the first host of an address that takes writes, beginning with the last good one."""

    def __init__(self, address: Address, settings: Mapping[str, str]) -> None:
        self._address = address
        self._settings = dict(settings)  # of each session, or of each transaction behind a pooler
        self._hosts: list[tuple[str | None, int | None]] = list(address.hosts) or [(None, None)]
        self._pooled = False  # start-up parameters were refused or ignored
        self._pooler_checked = False
        self._checking = asyncio.Lock()  # a pool opens several connections at once

    async def __call__(self, *_args: Any, **_arguments: Any) -> Connection:
        """Open one connection; the arguments of SQLAlchemy are ignored.

        Raises:
            asyncpg.ReadOnlySQLTransactionError: no host takes writes.
            asyncpg.PostgresError: no host can be used, and this is the answer of a server.
            OSError: no host answers.
            UnusablePooler: an old PgBouncer in transaction mode.
        """
        failure: Exception | None = None
        for host in tuple(self._hosts):
            try:
                connection = await self._connect(host)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                failure = error if failure is None or not isinstance(error, OSError) else failure
                continue
            self._hosts.remove(host)
            self._hosts.insert(0, host)
            return connection
        assert failure is not None
        raise failure

    async def _connect(self, host: tuple[str | None, int | None]) -> Connection:
        pooled = self._pooled
        try:
            return await self._open(host, pooled=pooled)
        except asyncpg.ProtocolViolationError:
            if pooled:
                raise
            self._pooled = True
            return await self._open(host, pooled=True)

    async def _open(self, host: tuple[str | None, int | None], *, pooled: bool) -> Connection:
        settings = dict(self._address.server_settings)
        connection: Connection = await asyncpg.connect(
            host=host[0],
            port=host[1],
            **self._address.arguments,
            timeout=self._address.timeout,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=settings if pooled else settings | self._settings,
            connection_class=Connection,
        )
        try:
            if pooled or not await self._takes_settings(connection):
                connection.limits = "".join(f"SET LOCAL {name} = '{value}';" for name, value in self._settings.items())
                async with self._checking:
                    await self._check_pooler(connection, host)
            if await connection.fetchval("SELECT current_setting('transaction_read_only')") == "on":
                raise asyncpg.ReadOnlySQLTransactionError("the server takes no writes")
            connection.add_log_listener(connection.noticed)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _takes_settings(self, connection: Connection) -> bool:
        """Return whether the session has its settings; a pooler may drop them (`ignore_startup_parameters`).

        Raises:
            UnusablePooler: the server knows this statement by the session of another client.
        """
        query = "SELECT " + ", ".join(f"current_setting('{name}')" for name in self._settings)
        try:
            found = await connection.fetchrow(query)
        except STRANGE_STATEMENTS as error:
            raise UnusablePooler(OLD_POOLER) from error
        return list(found) == list(self._settings.values())

    async def _check_pooler(self, connection: Connection, host: tuple[str | None, int | None]) -> None:
        """Check, once, that prepared statements work.

        PgBouncer names them itself since 1.21. Otherwise a client must keep its server.

        Raises:
            UnusablePooler: they do not work.
        """
        if self._pooler_checked:
            return
        name = f"backchat_{uuid4().hex}"
        try:
            async with connection.transaction():
                statement = await connection.prepare("SELECT 1", name=name)
                passed_through = await connection.fetchval("SELECT 1 FROM pg_prepared_statements WHERE name = $1", name)
                del statement  # not earlier: asyncpg closes a statement that is not referenced
            unusable = passed_through and await self._shares_servers(connection, host)
        except STRANGE_STATEMENTS:
            unusable = True
        if unusable:
            raise UnusablePooler(OLD_POOLER)
        self._pooler_checked = True

    async def _shares_servers(self, connection: Connection, host: tuple[str | None, int | None]) -> bool:
        """Return whether another client gets the server of an idle connection, or that connection gets another one."""
        other: Connection = await asyncpg.connect(
            host=host[0],
            port=host[1],
            **self._address.arguments,
            timeout=self._address.timeout,
            statement_cache_size=0,
        )
        try:
            pid = await _server_of(connection)
            for _ in range(POOLER_TRIES):
                async with other.transaction():
                    if pid == await _server_of(other) or pid != await _server_of(connection):
                        return True
        finally:
            other.terminate()
        return False


async def _server_of(connection: Connection) -> int:
    async with connection.transaction():  # in which all statements go to one server
        return int(await connection.fetchval("SELECT pg_backend_pid()"))
