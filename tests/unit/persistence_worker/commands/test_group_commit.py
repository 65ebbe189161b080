"""Group commit: batches of all partitions share a transaction, and each gets its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from persistence_worker.commands.group_commit import COMMANDS_MAX, GroupCommitter
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import CommandBatch
from persistence_worker.domain.state import Loaded
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.metrics import Metrics
from shared.contracts.commands import EraseAuthor
from shared.contracts.payload import utc_now
from shared.errors import Unavailable
from tests.support.waiting import until


class Named(str):
    """A command that is only a name; `looks back` is an exclusive command."""

    __slots__ = ()

    @property
    def command(self) -> Any:
        looks_back = EraseAuthor(session_id=UUID(int=0), user_id="ada")
        return looks_back if self == "looks back" else None


class FakeRunner:
    """Records transactions, blocks while `gate` is closed, and refuses transactions with the command `poison`."""

    def __init__(self) -> None:
        self.transactions: list[list[Any]] = []
        self.maybe_committed: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0

    async def run(self, commands: Sequence[Any], *, maybe_committed: bool) -> Any:
        self.maybe_committed.append(maybe_committed)
        self.transactions.append(list(commands))
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        if "poison" in commands:
            raise ValueError("poison")
        batch = CommandBatch(Loaded(), Catalogue(), Limits(chatbots=8, users=100), utc_now())
        return SimpleNamespace(batch=batch, contexts={})


class Bus:
    async def publish_all(self, publications: Sequence[Any]) -> None:
        """Nothing is ever published here."""


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def committer(runner: FakeRunner) -> GroupCommitter:
    activity = SimpleNamespace(changed=list, discard=list)
    parts: Any = {"bus": Bus(), "runner": runner, "activity": activity}
    return GroupCommitter(**parts, metrics=Metrics(CollectorRegistry()), partitions=4)


def begin(committer: GroupCommitter, *batches: list[Any], exclusive: bool = False) -> list[asyncio.Task[None]]:
    named: list[Any] = [[Named(name) for name in batch] for batch in batches]
    return [asyncio.create_task(committer.commit(batch, exclusive=exclusive)) for batch in named]


async def begun(runner: FakeRunner, count: int) -> None:
    """Wait until `count` transactions have begun."""
    await until(lambda: len(runner.transactions) >= count)


async def pending(committer: GroupCommitter, count: int) -> None:
    """Wait until `count` batches wait for the next transaction."""
    await until(lambda: len(committer._pending) == count)


async def test_batches_that_arrive_during_a_transaction_share_the_next_one(
    committer: GroupCommitter, runner: FakeRunner
) -> None:
    runner.gate.clear()
    first = begin(committer, ["a1"])
    await begun(runner, 1)
    rest = begin(committer, ["b1", "b2"], ["c1"], ["d1"])
    await pending(committer, 3)
    runner.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*first, *rest)
    assert runner.transactions == [["a1"], ["b1", "b2", "c1", "d1"]]


async def test_poison_fails_only_its_batch(committer: GroupCommitter, runner: FakeRunner) -> None:
    """Each batch is committed separately after the common transaction failed."""
    runner.gate.clear()
    first = begin(committer, ["a1"])
    await begun(runner, 1)
    rest = begin(committer, ["b1"], ["poison"], ["d1"])
    await pending(committer, 3)
    runner.gate.set()
    outcomes = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), ValueError, type(None)]
    assert runner.transactions[2:] == [["b1"], ["poison"], ["d1"]]
    assert runner.maybe_committed == [False, False, True, True, True]


async def test_failed_commit_is_retried_as_maybe_committed(committer: GroupCommitter, runner: FakeRunner) -> None:
    """Its publications may be missing."""
    runner.failures = 1
    async with asyncio.timeout(20):
        await asyncio.gather(*begin(committer, ["a1"]))
    assert (runner.transactions, runner.maybe_committed) == ([["a1"], ["a1"]], [False, True])


async def test_exclusive_commit_has_a_separate_transaction(committer: GroupCommitter, runner: FakeRunner) -> None:
    runner.gate.clear()
    tasks = begin(committer, ["a1"])
    await begun(runner, 1)
    tasks += begin(committer, ["b1"]) + begin(committer, ["x"], exclusive=True) + begin(committer, ["c1"])
    await pending(committer, 2)
    runner.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
    assert ["x"] in runner.transactions


async def test_exclusive_command_has_a_separate_transaction_in_its_place(
    committer: GroupCommitter, runner: FakeRunner
) -> None:
    """So that it sees all earlier commands."""
    async with asyncio.timeout(20):
        await asyncio.gather(*begin(committer, ["a1", "a2", "looks back", "looks back", "a3"]))
    assert runner.transactions == [["a1", "a2"], ["looks back"], ["looks back"], ["a3"]]


async def test_transaction_has_a_maximum_of_commands(committer: GroupCommitter, runner: FakeRunner) -> None:
    runner.gate.clear()
    tasks = begin(committer, ["a1"])
    await begun(runner, 1)
    tasks += begin(committer, *[[0] * COMMANDS_MAX] * 3)
    await pending(committer, 3)
    runner.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
    assert [len(commands) for commands in runner.transactions] == [1, COMMANDS_MAX, COMMANDS_MAX, COMMANDS_MAX]


async def test_cancelled_leader_fails_the_batches_of_other_partitions(
    committer: GroupCommitter, runner: FakeRunner
) -> None:
    runner.gate.clear()
    [first] = begin(committer, ["a1"])
    await begun(runner, 1)
    leader, follower = begin(committer, ["b1"], ["c1"])
    await pending(committer, 2)
    first.cancel()
    await begun(runner, 2)
    leader.cancel()
    runner.gate.set()
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(first, leader, follower, return_exceptions=True)
    assert isinstance(outcomes[2], Unavailable)
