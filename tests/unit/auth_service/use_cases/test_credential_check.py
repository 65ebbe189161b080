"""The check of passcodes, on fakes."""

import pytest
from prometheus_client import CollectorRegistry

from auth_service.domain.credentials import Credentials
from auth_service.use_cases.credential_check import CredentialCheck
from shared.errors import InvalidCredentials, Unavailable
from tests.unit.auth_service.fakes import MemoryStore, PlainHasher

GOOD = "correct horse"
HERE = "192.0.2.1"
ALICE = Credentials("alice", ("user",), f"1:{GOOD}", 0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore({"alice": ALICE})


@pytest.mark.parametrize("passcode", ["wrong horse", "short", "x" * 200, "pass\ud800word", ""])
async def test_every_refused_login_has_the_same_answer_and_cost(
    check: CredentialCheck, store: MemoryStore, hasher: PlainHasher, passcode: str
) -> None:
    """Also for a passcode outside the bounds: it is wrong, not malformed."""
    store.users["guest"] = Credentials("guest", ("guest",), "", 0)
    store.users["disabled"] = Credentials("disabled", ("user",), f"1:{GOOD}", 0, disabled=True)
    answers = []
    for user_id, tried in [("alice", passcode), ("nobody", passcode), ("guest", passcode), ("disabled", GOOD)]:
        with pytest.raises(InvalidCredentials) as caught:
            await check.verify(user_id, tried, HERE)
        answers.append((caught.value.code, caught.value.detail))
    assert hasher.work == ["verify"] * 4
    assert len(set(answers)) == 1


async def test_passcode_matches_in_another_unicode_form(check: CredentialCheck, store: MemoryStore) -> None:
    """Registered in composed form, typed in decomposed form."""
    store.users["alice"] = Credentials("alice", ("user",), "1:s\u00e9same ouvre", 0)
    assert await check.verify("alice", "se\u0301same ouvre", HERE) == store.users["alice"]


async def test_outdated_hash_is_replaced(check: CredentialCheck, store: MemoryStore, hasher: PlainHasher) -> None:
    hasher.version = 2
    await check.verify("alice", GOOD, HERE)
    assert store.users["alice"].passcode_hash == f"2:{GOOD}"
    hasher.work.clear()
    await check.verify("alice", GOOD, HERE)
    assert hasher.work == ["verify"]


async def test_check_succeeds_if_the_queue_refuses_the_new_hash(
    check: CredentialCheck, store: MemoryStore, hasher: PlainHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher.version = 2

    async def full(_passcode: str) -> str:
        raise Unavailable

    monkeypatch.setattr(hasher, "hash", full)
    await check.verify("alice", GOOD, HERE)
    assert store.users["alice"] == ALICE


async def test_failures_are_counted(check: CredentialCheck, registry: CollectorRegistry) -> None:
    with pytest.raises(InvalidCredentials):
        await check.verify("alice", "wrong horse", HERE)
    assert registry.get_sample_value("backchat_auth_logins_total", {"result": "failed"}) == 1
