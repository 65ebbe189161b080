"""The database goes away and comes back: nothing is held, nothing is lost, nothing is poison."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.tables import SCHEMA
from shared.contracts import ids, topology
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event
from shared.contracts.events import MessageStored
from shared.contracts.queries import ListChatbots
from shared.database.engine import open_engine
from tests.contract.store.desk import send
from tests.integration.persistence_worker.conftest import PARTITIONS, Worker
from tests.integration.persistence_worker.test_worker import opened
from tests.support.servers import PostgreSQL


@pytest.fixture
async def engine(postgresql: PostgreSQL, postgresql_url: str) -> AsyncIterator[AsyncEngine]:
    """Only PostgreSQL can be away."""
    engine = open_engine(postgresql_url, schema=SCHEMA)
    await app.migrate(engine)
    yield engine
    await engine.dispose()


async def test_messages_wait_for_the_database(worker: Worker, postgresql: PostgreSQL) -> None:
    """While it is away: not ready, deliveries go back, reads say unavailable; afterwards all are stored in order."""
    async with worker() as running:
        bus = running.bus
        session_id = await opened(running)
        queue = topology.log_queue(ids.partition(session_id, PARTITIONS), PARTITIONS)
        postgresql.kill()
        try:
            for n in range(5):
                running.put(send(session_id, str(n)))
            bus.put(topology.query_queue(), Event("tests", ListChatbots(), replyto="me"))
            [(_, answer)] = await running.until(lambda: bus.answers)
            assert answer.data.error.code == "unavailable"
            assert answer.data.error.retry_after
            await running.until(lambda: "database" in running.service.missing() and not bus.busy[queue.name])
            assert bus.queues[queue.name].ready
        finally:
            postgresql.start()
        await running.until(lambda: len(bus.events(MessageStored)) == 5)
        assert [e.message.content for e in bus.events(MessageStored)] == list("01234")
        assert bus.events(DeadLetter) == []
        assert running.service.missing() == []


async def test_a_client_that_froze_in_the_middle_of_a_statement_holds_nobody_up(
    worker: Worker, postgresql_url: str
) -> None:
    """PostgreSQL takes its transaction for an active one, and none of its timeouts ends it: the workers do."""
    async with worker() as running:
        session_id = await opened(running)
        frozen = psycopg.connect(postgresql_url.replace("+asyncpg", ""), application_name="backchat")
        try:
            frozen.execute("SET idle_in_transaction_session_timeout = '3s'")
            frozen.pgconn.enter_pipeline_mode()
            frozen.pgconn.send_query_params(b"SELECT id FROM chat.chat_sessions FOR UPDATE", None)
            frozen.pgconn.send_flush_request()  # and never the end of it
            frozen.pgconn.flush()
            running.put(send(session_id, "hello"))
            [stored] = await running.until(lambda: running.bus.events(MessageStored))
            assert stored.message.seq == 1
            assert running.bus.events(DeadLetter) == []
        finally:
            frozen.close()
