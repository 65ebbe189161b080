"""Outages of the database: deliveries are requeued, stored afterwards, and none becomes a dead letter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.tables import SCHEMA
from shared.contracts import topology
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event
from shared.contracts.events import MessageStored
from shared.contracts.queries import ListChatbots
from shared.database.engine import open_engine
from tests.integration.persistence_worker.conftest import Worker, queue_of
from tests.support.commands import send
from tests.support.servers import PostgreSQL
from tests.support.waiting import until


@pytest.fixture
async def engine(postgresql: PostgreSQL, postgresql_url: str) -> AsyncIterator[AsyncEngine]:
    """SQLite has no outages."""
    engine = open_engine(postgresql_url, schema=SCHEMA)
    await app.migrate(engine)
    yield engine
    await engine.dispose()


async def test_messages_are_stored_in_order_after_a_database_outage(worker: Worker, postgresql: PostgreSQL) -> None:
    """During the outage the worker is not ready, requeues deliveries, and answers queries with `unavailable`."""
    async with worker() as running:
        bus = running.bus
        session_id = await running.opened()
        queue = queue_of(session_id)
        postgresql.kill()
        try:
            for n in range(5):
                running.put(send(session_id, str(n)))
            bus.deliver(topology.query_queue(), Event("tests", ListChatbots(), replyto="me"))
            [answer] = await until(lambda: running.answers)
            assert answer.error.code == "unavailable"
            assert answer.error.retry_after
            await until(lambda: "database" in running.service.missing() and not bus.unacked(queue))
            assert bus.waiting(queue)
        finally:
            postgresql.start()
        await until(lambda: len(bus.events(MessageStored)) == 5)
        assert [e.message.content for e in bus.events(MessageStored)] == list("01234")
        assert bus.events(DeadLetter) == []
        assert running.service.missing() == []


async def test_transaction_of_a_frozen_client_is_terminated(worker: Worker, postgresql_url: str) -> None:
    """PostgreSQL counts it as active, so that no timeout of PostgreSQL ends it: a worker terminates it."""
    async with worker() as running:
        session_id = await running.opened()
        frozen = psycopg.connect(postgresql_url.replace("+asyncpg", ""), application_name="backchat")
        try:
            frozen.execute("SET idle_in_transaction_session_timeout = '3s'")
            frozen.pgconn.enter_pipeline_mode()
            frozen.pgconn.send_query_params(b"SELECT id FROM chat.chat_sessions FOR UPDATE", None)
            frozen.pgconn.send_flush_request()  # the rest of the pipeline is never sent
            frozen.pgconn.flush()
            running.put(send(session_id, "hello"))
            [stored] = await until(lambda: running.bus.events(MessageStored))
            assert stored.message.seq == 1
            assert running.bus.events(DeadLetter) == []
        finally:
            frozen.close()
