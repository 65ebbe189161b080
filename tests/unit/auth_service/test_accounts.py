"""The rules of ids, and the use cases on fakes."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from auth_service import accounts
from auth_service.accounts import Accounts
from auth_service.keys import KeyRing, SigningKey
from auth_service.metrics import Metrics
from auth_service.tokens import AccessTokens, refresh_token_hash
from shared.errors import InvalidCredentials, TokenInvalid, Unavailable, UserExists, WeakPasscode
from tests.unit.auth_service.fakes import MemoryStore, PlainHasher

GOOD = "correct horse"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def hasher() -> PlainHasher:
    return PlainHasher()


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(KeyRing([SigningKey.of(Ed25519PrivateKey.generate())]), issuer="backchat", ttl=900)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def service(store: MemoryStore, hasher: PlainHasher, tokens: AccessTokens, registry: CollectorRegistry) -> Accounts:
    return Accounts(store=store, hasher=hasher, tokens=tokens, refresh_ttl=3600, metrics=Metrics(registry))


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_an_id_of_the_documented_form_is_taken_in_lower_case(raw: str) -> None:
    assert accounts.user_id(raw) == raw.lower()


@given(st.text(max_size=80))
def test_nothing_else_is_an_id(raw: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._\-]{1,64}", raw, re.ASCII) is None:
        with pytest.raises(ValueError, match="1 to 64"):
            accounts.user_id(raw)


@pytest.mark.parametrize(
    "raw", ["", "a" * 65, "alice\n", "al ice", "\uff41lice", "\u0130", "\u212a", "al/ice", "a\0", "\ud800"]
)
def test_near_misses_are_no_ids(raw: str) -> None:
    """A newline at the end and letters that only fold to ASCII are the classic ones."""
    with pytest.raises(ValueError, match="1 to 64"):
        accounts.user_id(raw)


async def test_a_login_hangs_tokens_on_a_stored_login(
    service: Accounts, store: MemoryStore, tokens: AccessTokens
) -> None:
    user = await service.register("alice", GOOD)
    given_tokens = await service.login("alice", GOOD)
    claims = tokens.verify(given_tokens.access_token)
    login = store.logins[claims.sid]
    assert claims.user_id == login.user_id == user.id == "alice"
    assert login.refresh_token_hash == refresh_token_hash(given_tokens.refresh_token)
    assert (login.refresh_token_expires_at - login.created_at).total_seconds() == 3600
    assert len(given_tokens.refresh_token) >= 43  # 256 bits
    assert await service.me(given_tokens.access_token) == user


async def test_two_logins_share_nothing(service: Accounts, tokens: AccessTokens) -> None:
    await service.register("alice", GOOD)
    first, second = await service.login("alice", GOOD), await service.login("alice", GOOD)
    assert first.refresh_token != second.refresh_token
    one, other = tokens.verify(first.access_token), tokens.verify(second.access_token)
    assert one.sid != other.sid
    assert one.jti != other.jti


@pytest.mark.parametrize("passcode", ["wrong horse", "short", "x" * 200, "pass\ud800word"])
async def test_known_and_unknown_ids_cost_the_same_and_are_told_the_same(
    service: Accounts, hasher: PlainHasher, passcode: str
) -> None:
    """Also with a passcode that nobody could have: it is wrong, not malformed."""
    await service.register("alice", GOOD)
    hasher.work.clear()
    answers = []
    for user_id in ("alice", "nobody"):
        with pytest.raises(InvalidCredentials) as caught:
            await service.login(user_id, passcode)
        answers.append((caught.value.code, caught.value.detail))
    assert hasher.work == ["verify", "verify"]
    assert answers[0] == answers[1]


async def test_the_same_passcode_in_another_unicode_form_logs_in(service: Accounts) -> None:
    """Registered composed, typed decomposed."""
    await service.register("alice", "sésame ouvre")
    await service.login("alice", "se\u0301same ouvre")


async def test_a_weak_passcode_is_not_even_hashed(service: Accounts, hasher: PlainHasher) -> None:
    with pytest.raises(WeakPasscode):
        await service.register("alice", "Password123")
    with pytest.raises(WeakPasscode):
        await service.register("alice-in-chains", "ALICE-IN-CHAINS")
    assert hasher.work == []


async def test_an_id_is_given_once(service: Accounts) -> None:
    await service.register("alice", GOOD)
    with pytest.raises(UserExists):
        await service.register("alice", "another horse")
    await service.login("alice", GOOD)


async def test_an_outdated_hash_is_replaced_at_login(
    service: Accounts, store: MemoryStore, hasher: PlainHasher
) -> None:
    await service.register("alice", GOOD)
    hasher.version = 2
    await service.login("alice", GOOD)
    assert store.users["alice"][1] == f"2:{GOOD}"
    hasher.work.clear()
    await service.login("alice", GOOD)
    assert hasher.work == ["verify"]


async def test_a_login_does_not_fail_because_the_new_hash_found_no_place(
    service: Accounts, store: MemoryStore, hasher: PlainHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.register("alice", GOOD)
    hasher.version = 2

    async def full(_passcode: str) -> str:
        raise Unavailable

    monkeypatch.setattr(hasher, "hash", full)
    await service.login("alice", GOOD)
    assert store.users["alice"][1] == f"1:{GOOD}"


async def test_a_genuine_token_of_no_login_is_refused(service: Accounts, tokens: AccessTokens) -> None:
    await service.register("alice", GOOD)
    with pytest.raises(TokenInvalid):
        await service.me(tokens.sign("alice", "no-such-login", ["user"]))


async def test_results_are_counted(service: Accounts, registry: CollectorRegistry) -> None:
    await service.register("alice", GOOD)
    await service.login("alice", GOOD)
    with pytest.raises(InvalidCredentials):
        await service.login("alice", "wrong horse")
    assert registry.get_sample_value("backchat_auth_logins_total", {"result": "ok"}) == 1
    assert registry.get_sample_value("backchat_auth_logins_total", {"result": "failed"}) == 1
    assert registry.get_sample_value("backchat_auth_registrations_total", {"result": "ok"}) == 1
