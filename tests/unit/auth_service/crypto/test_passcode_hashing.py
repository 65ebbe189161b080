"""Argon2id hashing behind a bounded queue."""

import asyncio
import threading
from collections.abc import AsyncIterator

import argon2
import pytest
from prometheus_client import CollectorRegistry

from auth_service.crypto.passcode_hashing import Argon2Hasher
from auth_service.deadlines import deadline
from auth_service.metrics import Metrics
from auth_service.settings import AuthSettings
from shared.errors import Unavailable
from tests.support.waiting import pause

OWASP = "$argon2id$v=19$m=19456,t=2,p=1$"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def hasher(registry: CollectorRegistry) -> AsyncIterator[Argon2Hasher]:
    hasher = Argon2Hasher(AuthSettings(hashing_threads=1, hashing_queue=2), Metrics(registry))
    yield hasher
    hasher.close()


class Gate:
    """Blocks the hashing thread and counts the calls that reach it."""

    def __init__(self, hasher: Argon2Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.entered, self.count = threading.Event(), threading.Event(), 0

        def hold(_stored: str, _passcode: str) -> bool:
            self.count += 1
            self.entered.set()
            assert self.opened.wait(10)
            return True

        monkeypatch.setattr(hasher, "_matches", hold)


@pytest.fixture
def gate(hasher: Argon2Hasher, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(hasher, monkeypatch)


async def test_hash_is_argon2id_with_the_parameters_of_owasp(hasher: Argon2Hasher) -> None:
    stored = await hasher.hash("correct horse")
    assert stored.startswith(OWASP)
    assert stored != await hasher.hash("correct horse")
    assert await hasher.verify(stored, "correct horse")
    assert not await hasher.verify(stored, "wrong horse")


async def test_unknown_user_matches_no_passcode_and_costs_a_hash(
    hasher: Argon2Hasher, registry: CollectorRegistry
) -> None:
    assert not await hasher.verify(None, "")
    assert not await hasher.verify(None, "correct horse")
    assert registry.get_sample_value("backchat_auth_hashing_seconds_count") == 2
    assert (registry.get_sample_value("backchat_auth_hashing_seconds_sum") or 0) > 0.005  # seconds: it really hashes


async def test_hash_of_other_parameters_is_outdated(hasher: Argon2Hasher) -> None:
    assert hasher.is_outdated(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))
    assert not hasher.is_outdated(await hasher.hash("x"))


async def test_unreadable_hash_matches_nothing(hasher: Argon2Hasher) -> None:
    assert not await hasher.verify("not a hash", "not a hash")


async def test_check_beyond_the_queue_is_refused_at_once(
    hasher: Argon2Hasher, gate: Gate, registry: CollectorRegistry
) -> None:
    """One check runs, two wait, the fourth is refused; it is admitted when a place is free."""
    waiting = [asyncio.create_task(hasher.verify("s", "p")) for _ in range(3)]
    await asyncio.to_thread(gate.entered.wait, 10)
    with pytest.raises(Unavailable) as caught:
        await hasher.verify("s", "p")
    assert caught.value.retry_after
    assert registry.get_sample_value("backchat_auth_hashing_refusals_total") == 1
    gate.opened.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await hasher.verify("s", "p")


async def test_cancelled_caller_keeps_its_place_while_its_hash_runs(hasher: Argon2Hasher, gate: Gate) -> None:
    """Otherwise aborted requests would pile up work without a bound. Queued checks of cancelled callers never start."""
    waiting = [asyncio.create_task(hasher.verify("s", "p")) for _ in range(3)]
    await asyncio.to_thread(gate.entered.wait, 10)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await pause(0.05, "a place that is freed by mistake is free by now")
    again = [asyncio.create_task(hasher.verify("s", "p")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(20):
            await hasher.verify("s", "p")
    gate.opened.set()
    assert await asyncio.gather(*again) == [True, True]
    assert gate.count == 3


async def test_check_whose_deadline_passed_is_never_started(hasher: Argon2Hasher, gate: Gate) -> None:
    """A caller that got `unavailable` causes no later work."""
    first = asyncio.create_task(hasher.verify("s", "p"))
    await asyncio.to_thread(gate.entered.wait, 10)
    with pytest.raises(Unavailable):
        async with deadline(0.05):
            await hasher.verify("s", "p")
    gate.opened.set()
    assert await first
    assert await hasher.verify("s", "p")  # queued behind the late check in the only thread
    assert gate.count == 2


async def test_event_loop_runs_while_a_passcode_is_hashed(hasher: Argon2Hasher) -> None:
    hashing = asyncio.create_task(hasher.hash("correct horse"))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
