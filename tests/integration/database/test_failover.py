"""Failovers of PostgreSQL (contract P9, P10): connections to a server that takes no writes are given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.commands.partition_consumer import SUSPECT_FROM
from persistence_worker.storage.tables import SCHEMA
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.events import MessageStored, SessionHead
from shared.database.engine import open_engine
from tests.integration.auth_service.conftest import Running, running
from tests.integration.persistence_worker.conftest import RunningWorker, Worker, queue_of
from tests.support.commands import send
from tests.support.proxy import Proxy
from tests.support.replication import Replicated, execute
from tests.support.servers import PostgreSQL
from tests.support.waiting import pause, until

PROMISED = 10.0  # seconds after the new primary takes writes (contract P10)
ON_A_BUSY_MACHINE = 3 * PROMISED
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backchat'"
COMMITTING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'backchat'"
READ_ONLY = "ALTER DATABASE postgres SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE postgres RESET default_transaction_read_only"
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backchat'"

pytestmark = [pytest.mark.timeout(240), pytest.mark.postgresql]


async def asked(server: PostgreSQL, statement: str) -> object:
    """Execute a statement on a server without blocking the services under test.

    The database is another one than theirs, which may be read-only.
    """
    return await asyncio.to_thread(execute, server, statement, "template1")


async def switch(fault: str, address: Proxy, servers: Replicated) -> None:
    """Let the address lead to a server that takes no writes."""
    if fault == "read-only database":
        await asked(servers.primary, READ_ONLY)
        await asked(servers.primary, END_SESSIONS)
    elif fault == "read-only server":
        await asked(servers.primary, "ALTER SYSTEM SET default_transaction_read_only = on")
        await asked(servers.primary, "SELECT pg_reload_conf()")
    else:
        address.lead_to(("127.0.0.1", servers.standby.port))
        address.cut()


async def recover(fault: str, address: Proxy, servers: Replicated) -> None:
    """Let the address lead to a server that takes writes, while open connections stay open."""
    if fault == "read-only database":
        await asked(servers.primary, WRITABLE)
    elif fault == "read-only server":
        await asked(servers.primary, "ALTER SYSTEM RESET default_transaction_read_only")
        await asked(servers.primary, "SELECT pg_reload_conf()")
    elif fault == "standby promoted":
        await asyncio.to_thread(servers.primary.kill)
        await asyncio.to_thread(servers.standby.promote)
    else:
        address.lead_to(("127.0.0.1", servers.primary.port))


FAULTS = ["read-only database", "read-only server", "standby behind the address", "standby promoted"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_worker_leaves_a_server_that_takes_no_writes(
    fault: str, worker: Worker, address: Proxy, servers: Replicated
) -> None:
    """Messages are stored in order afterwards, and none is poison."""
    async with worker() as running:
        session_id = await running.opened()
        await switch(fault, address, servers)
        for n in range(3):
            running.put(send(session_id, str(n)))
        await until(lambda: "database" in running.service.missing(), 20)
        if "standby" in fault:
            await until(lambda: execute(servers.standby, OURS) == 0, 20)
        assert not running.bus.events(MessageStored)
        await recover(fault, address, servers)
        await until(lambda: len(running.stored) == 3, ON_A_BUSY_MACHINE)
        assert running.stored == ["0", "1", "2"]
        await until(lambda: not running.service.missing())
        assert running.bus.events(DeadLetter) == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_auth_leaves_a_server_that_takes_no_writes(
    fault: str, url: str, address: Proxy, servers: Replicated, tmp_path: Path
) -> None:
    """Logins and registrations fail as `unavailable` until then, and work again without a restart."""
    async with running(url, tmp_path / "keys") as auth:
        await auth.register("alice")
        await asyncio.gather(*(auth.login("alice") for _ in range(6)))  # so that the pool holds several connections
        await switch(fault, address, servers)
        await until(lambda: list(auth.service.missing()) == ["database"], 20)
        answer = await auth.login("alice")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        await recover(fault, address, servers)
        await until(lambda: logged_in(auth), ON_A_BUSY_MACHINE)
        assert (await auth.register("bob")).status_code == 201
        await until(lambda: not auth.service.missing())


async def logged_in(auth: Running) -> bool:
    answers = await asyncio.gather(*(auth.login("alice") for _ in range(4)))
    return {answer.status_code for answer in answers} == {200}


@pytest.fixture
async def both(servers: Replicated) -> AsyncIterator[AsyncEngine]:
    """An engine whose URL names both servers."""
    hosts = f"host=127.0.0.1:{servers.standby.port}&host=127.0.0.1:{servers.primary.port}"
    engine = open_engine(f"postgresql+asyncpg://app@/postgres?{hosts}&target_session_attrs=read-write", schema=SCHEMA)
    await app.migrate(engine)
    yield engine
    await engine.dispose()


class TestSeveralHosts:
    """The URL names the primary and the standby, and no address moves."""

    @pytest.fixture
    def engine(self, both: AsyncEngine) -> AsyncEngine:
        return both

    async def test_worker_finds_the_promoted_standby(self, worker: Worker, servers: Replicated) -> None:
        async with worker() as running:
            session_id = await running.opened()
            await asyncio.to_thread(servers.primary.kill)
            running.put(send(session_id, "hello"))
            await until(lambda: "database" in running.service.missing(), 20)
            await asyncio.to_thread(servers.standby.promote)
            await until(lambda: running.stored == ["hello"], ON_A_BUSY_MACHINE)

    @pytest.mark.parametrize("end", ["cancelled", "terminated", "timed out"])
    async def test_commit_without_its_standby_is_not_published_as_stored(
        self, worker: Worker, servers: Replicated, end: str
    ) -> None:
        """After the loss of the primary the message is stored once, on the promoted standby."""
        async with worker() as running:
            session_id = await running.opened()
            await asyncio.to_thread(servers.synchronous)
            servers.standby.pause()
            running.put(send(session_id, "hello"))
            await until(lambda: execute(servers.primary, COMMITTING), 20)
            if end != "timed out":
                function = "pg_cancel_backend" if end == "cancelled" else "pg_terminate_backend"
                await asked(servers.primary, f"SELECT {function}(pid) FROM ({COMMITTING}) AS waiting")
            await until(lambda: "database" in running.service.missing(), 30)
            await pause(1.0, "a retry may publish it")
            assert not published(running)
            await asyncio.to_thread(servers.primary.kill)
            servers.standby.resume()
            await asyncio.to_thread(servers.standby.promote)
            await until(lambda: published(running), ON_A_BUSY_MACHINE)
            assert execute(servers.standby, "SELECT count(*) FROM chat.chat_messages WHERE content = 'hello'") == 1
            assert running.bus.events(DeadLetter) == []

    async def test_commit_ends_when_the_standby_is_back(self, worker: Worker, servers: Replicated) -> None:
        async with worker() as running:
            session_id = await running.opened()
            await asyncio.to_thread(servers.synchronous)
            servers.standby.pause()
            running.put(send(session_id, "hello"))
            await until(lambda: "database" in running.service.missing(), 30)
            assert not published(running)
            servers.standby.resume()
            await until(lambda: published(running), ON_A_BUSY_MACHINE)
            await until(lambda: not running.service.missing())


def published(running: RunningWorker) -> bool:
    """Return whether the message was published, or a head of its session if an earlier try had stored it."""
    return bool(running.stored or running.bus.events(SessionHead))


async def test_no_message_is_poison_because_the_server_took_no_writes(
    worker: Worker, address: Proxy, servers: Replicated
) -> None:
    """A restarted worker meets an event that was delivered very often while the database was read-only."""
    async with worker() as first:
        session_id = await first.opened()
    await switch("read-only database", address, servers)
    async with worker(first.bus) as second:
        await assert_not_poison(second, session_id, servers)


async def assert_not_poison(running: RunningWorker, session_id: object, servers: Replicated) -> None:
    running.put(send(session_id, "hello"), delivery_count=50 * SUSPECT_FROM)  # type: ignore[arg-type]
    await until(lambda: "database" in running.service.missing(), 20)
    await asked(servers.primary, WRITABLE)
    await until(lambda: running.stored == ["hello"], ON_A_BUSY_MACHINE)
    await running.drained(session_id)  # type: ignore[arg-type]
    assert not running.bus.unacked(queue_of(session_id))  # type: ignore[arg-type]
    assert running.bus.events(DeadLetter) == []
