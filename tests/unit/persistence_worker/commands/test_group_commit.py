"""Group commit of transactions: batches gather while one runs, and each partition hears of its own fate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from persistence_worker.commands.group_commit import ORDERS_MAX, Committer
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import Batch
from persistence_worker.domain.state import Loaded
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.metrics import Metrics
from shared.contracts.commands import EraseAuthor
from shared.contracts.payload import utc_now
from shared.errors import Unavailable


class Named(str):
    """An order that is no more than its name; `looks back` is one that looks back."""

    __slots__ = ()

    @property
    def command(self) -> Any:
        looks_back = EraseAuthor(session_id=UUID(int=0), user_id="ada")
        return looks_back if self == "looks back" else None


class Ledger:
    """Notes each transaction; holds it until `gate` opens; refuses those with a `poison` order."""

    def __init__(self) -> None:
        self.transactions: list[list[Any]] = []
        self.again: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0

    async def apply(self, orders: Sequence[Any], *, again: bool) -> Any:
        self.again.append(again)
        self.transactions.append(list(orders))
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        if "poison" in orders:
            raise ValueError("poison")
        batch = Batch(Loaded(), Catalogue(), Limits(chatbots=8, users=100), utc_now())
        return SimpleNamespace(batch=batch, contexts={})


class Bus:
    async def publish_all(self, publications: Sequence[Any]) -> None:
        """Nothing is ever published here."""


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def committer(ledger: Ledger) -> Committer:
    notices = SimpleNamespace(note=list, forget=list)
    parts: Any = {"bus": Bus(), "ledger": ledger, "notices": notices}
    return Committer(**parts, metrics=Metrics(CollectorRegistry()), partitions=4)


def begin(committer: Committer, *batches: list[Any], alone: bool = False) -> list[asyncio.Task[None]]:
    named: list[Any] = [[Named(order) for order in batch] for batch in batches]
    return [asyncio.create_task(committer.commit(batch, alone=alone)) for batch in named]


async def under_way(ledger: Ledger, count: int) -> None:
    async with asyncio.timeout(20):
        while len(ledger.transactions) < count:  # noqa: ASYNC110 - the next turn of the loop is what is waited for
            await asyncio.sleep(0)


async def test_what_arrives_meanwhile_leaves_together(committer: Committer, ledger: Ledger) -> None:
    ledger.gate.clear()
    first = begin(committer, ["a1"])
    await under_way(ledger, 1)
    rest = begin(committer, ["b1", "b2"], ["c1"], ["d1"])
    await asyncio.sleep(0)
    ledger.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*first, *rest)
    assert ledger.transactions == [["a1"], ["b1", "b2", "c1", "d1"]]


async def test_one_poisoned_batch_leaves_the_others_stored(committer: Committer, ledger: Ledger) -> None:
    """Each batch is tried by itself, and only the poisoned one fails."""
    ledger.gate.clear()
    first = begin(committer, ["a1"])
    await under_way(ledger, 1)
    rest = begin(committer, ["b1"], ["poison"], ["d1"])
    await asyncio.sleep(0)
    ledger.gate.set()
    outcomes = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), ValueError, type(None)]
    assert ledger.transactions[2:] == [["b1"], ["poison"], ["d1"]]
    assert ledger.again == [False, False, True, True, True]


async def test_a_commit_whose_answer_was_lost_is_tried_again_as_such(committer: Committer, ledger: Ledger) -> None:
    """It may have been committed, and nobody was told."""
    ledger.failures = 1
    async with asyncio.timeout(20):
        await asyncio.gather(*begin(committer, ["a1"]))
    assert (ledger.transactions, ledger.again) == ([["a1"], ["a1"]], [False, True])


async def test_a_batch_alone_shares_its_transaction_with_nobody(committer: Committer, ledger: Ledger) -> None:
    ledger.gate.clear()
    tasks = begin(committer, ["a1"])
    await under_way(ledger, 1)
    tasks += begin(committer, ["b1"]) + begin(committer, ["x"], alone=True) + begin(committer, ["c1"])
    await asyncio.sleep(0)
    ledger.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
    assert ["x"] in ledger.transactions


async def test_what_looks_back_has_a_transaction_of_its_own(committer: Committer, ledger: Ledger) -> None:
    """In its place among the others, so that it sees all that came before it."""
    async with asyncio.timeout(20):
        await asyncio.gather(*begin(committer, ["a1", "a2", "looks back", "looks back", "a3"]))
    assert ledger.transactions == [["a1", "a2"], ["looks back"], ["looks back"], ["a3"]]


async def test_a_transaction_is_bounded(committer: Committer, ledger: Ledger) -> None:
    ledger.gate.clear()
    tasks = begin(committer, ["a1"])
    await under_way(ledger, 1)
    tasks += begin(committer, *[[0] * ORDERS_MAX] * 3)
    await asyncio.sleep(0)
    ledger.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
    assert [len(orders) for orders in ledger.transactions] == [1, ORDERS_MAX, ORDERS_MAX, ORDERS_MAX]


async def test_a_cancelled_leader_leaves_nobody_waiting(committer: Committer, ledger: Ledger) -> None:
    ledger.gate.clear()
    [first] = begin(committer, ["a1"])
    await under_way(ledger, 1)
    leader, follower = begin(committer, ["b1"], ["c1"])
    await asyncio.sleep(0)
    first.cancel()
    await under_way(ledger, 2)
    leader.cancel()
    ledger.gate.set()
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(first, leader, follower, return_exceptions=True)
    assert isinstance(outcomes[2], Unavailable)
