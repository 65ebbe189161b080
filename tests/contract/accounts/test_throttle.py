"""The contract of the throttle store, on SQLite and on PostgreSQL, where replicas share it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import app
from auth_service.domain.throttle_rules import Bucket, Budget, Outcome
from auth_service.storage import throttle_store
from auth_service.storage.throttle_store import ThrottleStore
from auth_service.storage.transactions import Transactions

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
KNOWN_FOR = timedelta(days=1)
STRICT = Budget(free=2, forget_every=1e6, wait_max=100.0, pending_max=4)
LAX = Budget(free=6, forget_every=1e6, wait_max=100.0)
OWN, ADDRESS, ACCOUNT = (Bucket(bytes([number]) * 32, budget) for number, budget in ((9, STRICT), (1, LAX), (5, LAX)))
OTHERS = [ACCOUNT, ADDRESS]


@pytest.fixture
async def replicas(empty_engine: AsyncEngine) -> list[ThrottleStore]:
    """Two replicas on PostgreSQL; one on SQLite, whose file has one process."""
    await app.migrate(empty_engine)
    count = 1 if empty_engine.dialect.name == "sqlite" else 2
    return [ThrottleStore(Transactions(empty_engine)) for _ in range(count)]


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped clock, so that a slow machine changes nothing."""
    monkeypatch.setattr(throttle_store, "utc_now", lambda: NOW)


async def attempt(store: ThrottleStore, outcome: Outcome, own: Bucket = OWN) -> float:
    seconds, known = await store.begin(own, OTHERS, known_for=KNOWN_FOR)
    if not seconds:
        await store.end(own, OTHERS, outcome, known=known)
    return seconds


async def test_replicas_share_their_counts(replicas: list[ThrottleStore]) -> None:
    waits = [await attempt(replicas[n % len(replicas)], Outcome.FAILED) for n in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert all(0 < seconds <= 1 for seconds in waits[3:])


async def test_failures_of_other_addresses_delay_only_unknown_addresses(replicas: list[ThrottleStore]) -> None:
    here, there = replicas[0], replicas[-1]
    assert await attempt(here, Outcome.SUCCEEDED) == 0
    for number in range(20, 27):
        assert await attempt(there, Outcome.FAILED, Bucket(bytes([number]) * 32, STRICT)) == 0
    assert await attempt(there, Outcome.UNDECIDED, Bucket(b"x" * 32, STRICT)) > 0
    assert await attempt(here, Outcome.FAILED) == 0
    await here.remember(Bucket(b"x" * 32, STRICT))
    assert await attempt(there, Outcome.UNDECIDED, Bucket(b"x" * 32, STRICT)) == 0


async def test_concurrent_checks_are_limited_to_the_pending_maximum(replicas: list[ThrottleStore]) -> None:
    """No deadlock occurs, in any order of the keys."""
    begun = await asyncio.gather(
        *(store.begin(OWN, others, known_for=KNOWN_FOR) for store in replicas for others in (OTHERS, OTHERS[::-1]) * 10)
    )
    admitted = [known for seconds, known in begun if not seconds]
    assert len(admitted) == STRICT.pending_max
    await asyncio.gather(*(replicas[0].end(OWN, OTHERS, Outcome.FAILED, known=known) for known in admitted))
    assert await attempt(replicas[0], Outcome.FAILED) > 0


async def test_concurrent_charges_are_all_counted(replicas: list[ThrottleStore]) -> None:
    budget = Budget(free=9, forget_every=1e6, wait_max=100.0)
    bucket = Bucket(b"c" * 32, budget)
    waits = await asyncio.gather(*(store.charge(bucket) for store in replicas for _ in range(20)))
    assert sum(seconds == 0 for seconds in waits) == 10
