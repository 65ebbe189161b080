"""Use cases of accounts, on fakes."""

import pytest
from prometheus_client import CollectorRegistry

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import GUEST, ROLES, User
from auth_service.metrics import Metrics
from auth_service.use_cases.accounts import Accounts
from auth_service.use_cases.credential_check import CredentialCheck
from auth_service.use_cases.throttle import NoThrottle
from shared.contracts.accounts import UserDeleted
from shared.contracts.payload import utc_now
from shared.errors import Forbidden, InvalidCredentials, InvalidRequest, UserExists, WeakPasscode
from tests.unit.auth_service.fakes import MemoryStore, PlainHasher

GOOD = "correct horse"
HERE = "192.0.2.1"


@pytest.fixture
def service(store: MemoryStore, hasher: PlainHasher, check: CredentialCheck, metrics: Metrics) -> Accounts:
    return Accounts(store=store, check=check, hasher=hasher, throttle=NoThrottle(), outbox=store, metrics=metrics)


async def test_weak_passcode_is_refused_without_hashing(service: Accounts, hasher: PlainHasher) -> None:
    with pytest.raises(WeakPasscode):
        await service.register("alice", "Password123", HERE)
    with pytest.raises(WeakPasscode):
        await service.register("alice-in-chains", "ALICE-IN-CHAINS", HERE)
    user = await service.register("alice-in-chains", GOOD, HERE)
    hasher.work.clear()
    with pytest.raises(WeakPasscode):
        await service.change_passcode(user, "a-login", GOOD, "ALICE-IN-CHAINS", HERE)
    assert hasher.work == []


async def test_id_is_registered_only_once(service: Accounts, check: CredentialCheck) -> None:
    await service.register("alice", GOOD, HERE)
    with pytest.raises(UserExists):
        await service.register("alice", "another horse", HERE)
    await check.verify("alice", GOOD, HERE)


async def test_changed_passcode_replaces_the_old_one(service: Accounts, check: CredentialCheck) -> None:
    user = await service.register("alice", GOOD, HERE)
    before = await check.verify("alice", GOOD, HERE)
    with pytest.raises(InvalidCredentials):
        await service.change_passcode(user, "a-login", "wrong horse", "another horse", HERE)
    await service.change_passcode(user, "a-login", GOOD, "another horse", HERE)
    with pytest.raises(InvalidCredentials):
        await check.verify("alice", GOOD, HERE)
    assert (await check.verify("alice", "another horse", HERE)).version > before.version


async def test_deleted_account_is_published(service: Accounts, store: MemoryStore) -> None:
    user = await service.register("alice", GOOD, HERE)
    for passcode, refusal in [("wrong horse", InvalidCredentials), (None, InvalidRequest)]:
        with pytest.raises(refusal):
            await service.delete(user, passcode, HERE)
    assert not store.outbox
    await service.delete(user, GOOD, HERE)
    (event,) = store.outbox
    assert event.data == UserDeleted(user_id="alice", deleted_at=event.time)


async def test_guest_sets_a_first_passcode_without_an_old_one(
    service: Accounts, store: MemoryStore, check: CredentialCheck
) -> None:
    for user_id, roles in [("guest-1", GUEST), ("from-elsewhere", ROLES)]:
        store.users[user_id] = Credentials(user_id, roles, "", 0)
    await service.change_passcode(User("guest-1", utc_now(), GUEST), "a-login", None, GOOD, HERE)
    assert (await check.verify("guest-1", GOOD, HERE)).user_id == "guest-1"
    elsewhere = User("from-elsewhere", utc_now(), ROLES)
    with pytest.raises(Forbidden):
        await service.change_passcode(elsewhere, "a-login", None, GOOD, HERE)
    await service.delete(elsewhere, None, HERE)


async def test_registrations_are_counted(service: Accounts, registry: CollectorRegistry) -> None:
    await service.register("alice", GOOD, HERE)
    with pytest.raises(UserExists):
        await service.register("alice", GOOD, HERE)
    for result in ("ok", "failed"):
        assert registry.get_sample_value("backchat_auth_registrations_total", {"result": result}) == 1
