"""The contract of the store of services, on SQLite and on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import app
from auth_service.crypto import service_keys
from auth_service.domain.revocations import Revoked
from auth_service.domain.services import Service, ServiceKey
from auth_service.storage.login_store import LoginStore
from auth_service.storage.service_store import ServiceStore
from auth_service.storage.sweep_store import SweepStore
from auth_service.storage.transactions import Transactions

NOW = datetime(2026, 11, 23, 9, 30, 0, 123_000, UTC)
LATER = NOW + timedelta(minutes=15)
HASH = service_keys.digest("bck_first")


def service(name: str = "reports", lifetime: timedelta | None = None) -> Service:
    return Service(name, ("chat",), NOW, lifetime)


def key(key_id: str = "key-1", name: str = "reports", expires_at: datetime | None = None) -> ServiceKey:
    return ServiceKey(key_id, name, HASH, NOW, expires_at)


@pytest.fixture
async def transactions(empty_engine: AsyncEngine) -> Transactions:
    await app.migrate(empty_engine)
    return Transactions(empty_engine)


@pytest.fixture
async def store(transactions: Transactions) -> ServiceStore:
    store = ServiceStore(transactions)
    assert await store.create(service(), key())
    return store


async def test_created_service_is_returned_with_its_key(store: ServiceStore) -> None:
    assert await store.valid_keys("reports", NOW) == (service(), [key()])
    assert await store.all_services() == [(service(), [key()])]
    assert await store.valid_keys("others", NOW) is None


async def test_name_is_never_assigned_again(store: ServiceStore) -> None:
    assert not await store.create(service(), key("key-2"))
    assert await store.revoke("reports", NOW)
    assert not await store.create(service(), key("key-2"))
    assert await store.valid_keys("reports", NOW) is None


async def test_third_valid_key_is_refused(store: ServiceStore) -> None:
    assert await store.add_key("reports", "key-2", HASH, NOW)
    assert await store.add_key("reports", "key-3", HASH, NOW) is False
    assert await store.revoke_key("reports", "key-1", NOW)
    assert await store.add_key("reports", "key-3", HASH, NOW)
    found = await store.valid_keys("reports", NOW)
    assert found is not None
    assert {each.id for each in found[1]} == {"key-2", "key-3"}


async def test_of_concurrent_rotations_one_adds_a_key(store: ServiceStore) -> None:
    added = await asyncio.gather(*(store.add_key("reports", f"key-{n}", HASH, NOW) for n in range(2, 8)))
    assert sorted(map(bool, added)) == [False] * 5 + [True]


async def test_expired_key_is_not_valid_and_makes_room(transactions: Transactions) -> None:
    store, lifetime = ServiceStore(transactions), timedelta(days=1)
    assert await store.create(service(lifetime=lifetime), key(expires_at=NOW + lifetime))
    assert await store.add_key("reports", "key-2", HASH, NOW)
    assert await store.valid_keys("reports", NOW + lifetime) == (service(lifetime=lifetime), [])
    assert await store.add_key("reports", "key-3", HASH, NOW + lifetime)
    found = await store.valid_keys("reports", NOW + lifetime)
    assert found is not None
    assert [each.expires_at for each in found[1]] == [NOW + 2 * lifetime]


async def test_unknown_services_and_keys_are_not_changed(store: ServiceStore) -> None:
    await store.create(service("other"), key("other-key", "other"))
    assert await store.add_key("nothing", "key-2", HASH, NOW) is None
    assert not await store.revoke("nothing", NOW)
    assert not await store.revoke_key("reports", "other-key", NOW)
    assert await store.revoke_key("reports", "key-1", NOW)
    assert not await store.revoke_key("reports", "key-1", NOW)
    assert await store.revoke("reports", NOW)
    assert not await store.revoke("reports", NOW)
    assert await store.add_key("reports", "key-2", HASH, NOW) is None


async def test_token_of_a_revoked_key_is_not_recorded(store: ServiceStore) -> None:
    """So that no token is issued during a revocation and missing in the list of gateways."""
    assert await store.record_token("key-1", LATER)
    assert await store.record_token("key-1", NOW), "an earlier expiry changes nothing"
    assert await store.active("reports", "key-1", "a") == service()
    assert await store.revoke_key("reports", "key-1", NOW)
    assert not await store.record_token("key-1", LATER)
    assert await store.active("reports", "key-1", "a") is None


async def test_gateways_learn_of_revoked_keys_and_ended_tokens(store: ServiceStore, transactions: Transactions) -> None:
    logins, ended = LoginStore(transactions), NOW + timedelta(seconds=1)
    await store.add_key("reports", "unused", HASH, NOW)
    assert await store.record_token("key-1", LATER)
    assert await logins.revoked(None, NOW) == []
    await store.end_token("token-1", ended, LATER)
    await store.end_token("token-1", ended, LATER)
    assert await store.active("reports", "key-1", "token-1") is None
    assert await store.active("reports", "key-1", "token-2") is not None
    assert await store.revoke("reports", NOW)
    expected = [Revoked("key-1", NOW, LATER), Revoked("token-1", ended, LATER)]
    assert sorted(await logins.revoked(None, NOW), key=lambda each: each.sid) == expected
    assert await logins.revoked(NOW, NOW) == expected[1:]
    assert await logins.revoked(None, LATER) == []


async def test_sweep_deletes_records_of_expired_tokens(store: ServiceStore, transactions: Transactions) -> None:
    sweep = SweepStore(transactions)
    await store.end_token("token-1", NOW, LATER)
    assert await sweep.sweep_ended_tokens(NOW, 10) == 0
    assert await sweep.sweep_ended_tokens(LATER, 10) == 1
