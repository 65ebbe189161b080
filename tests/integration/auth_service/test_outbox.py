"""The outbox during an outage of a real broker (contract.md §1.5: erased within seconds, or after the outage)."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from auth_service import app
from auth_service.domain.account_events import user_deleted
from auth_service.domain.users import User
from auth_service.settings import AuthSettings
from auth_service.storage.account_store import AccountStore
from auth_service.storage.tables import SCHEMA, outbox
from auth_service.storage.transactions import Transactions
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.accounts import UserDeleted
from shared.contracts.envelope import read_body
from shared.contracts.payload import utc_now
from shared.contracts.topology import accounts_queue
from shared.database.engine import open_engine, sqlite_url
from tests.support.servers import RabbitMQ

PATIENCE = 60.0  # seconds; a broker takes some to start


@pytest.mark.timeout(180)
async def test_deletions_are_published_after_a_broker_outage(tmp_path: Path, rabbitmq: RabbitMQ, amqp_url: str) -> None:
    """Each is stored during the outage and published afterwards with the same id."""
    settings, engine = AuthSettings(), open_engine(sqlite_url(tmp_path / "auth.db"), schema=SCHEMA)
    await app.migrate(engine)
    store = AccountStore(Transactions(engine))
    async with RabbitMQBus(amqp_url, name="persistence") as other, RabbitMQBus(amqp_url, name="auth") as bus:
        async with asyncio.timeout(PATIENCE):
            subscription = await other.subscribe(accounts_queue(), prefetch=100)
        keys, revocations = app.load_keys(settings, tmp_path / "keys"), app.open_revocations(settings, engine=engine)
        service = app.build(
            settings, engine=engine, keys=keys, registry=CollectorRegistry(), bus=bus, revocations=revocations
        )
        async with service.lifespan():
            await asyncio.to_thread(rabbitmq.flush_registry)
            await asyncio.to_thread(rabbitmq.kill)
            for number in range(3):
                user = User(f"user-{number}", utc_now(), ("user",))
                await store.add_user(user, "a hash")
                assert await store.delete(user.id, 0, user_deleted(user.id, utc_now()))
            async with engine.connect() as connection:
                waiting = {row.id for row in await connection.execute(select(outbox))}
            assert len(waiting) == 3
            await asyncio.to_thread(rabbitmq.start)
            told = {}
            async with asyncio.timeout(PATIENCE):
                while waiting - set(told):
                    batch = await subscription.take()
                    events = [event for delivery in batch.deliveries for event in read_body(delivery.body)]
                    told |= {event.id: event.parse(UserDeleted).user_id for event in events}
                    await subscription.ack(batch.deliveries)
    assert set(told) == waiting
    assert set(told.values()) == {"user-0", "user-1", "user-2"}
    await engine.dispose()
