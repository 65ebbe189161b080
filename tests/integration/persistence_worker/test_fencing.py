"""Real workers paused and killed under load: the log is stored exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from tests.integration.persistence_worker.command_load import PATIENCE, WORKERS, CommandLoad, Workers, load
from tests.support.waiting import pause, until

KILLS = 12
ROUNDS = 2  # pauses of each kind
TRIES = 2_000  # of stopping a worker at the wanted moment
SEED = 20261123


async def freeze(workers: Workers, commands: CommandLoad, name: str, *, in_transaction: bool) -> None:
    """Stop a busy worker in a transaction, or between two transactions."""
    child = workers.parts[name].child
    assert child
    dice = random.Random(SEED)
    for _ in range(TRIES):
        before = await workers.commands(name)
        os.kill(child.pid, signal.SIGSTOP)
        open_now = await commands.open_transactions() > 0
        if open_now == in_transaction and before:
            return
        os.kill(child.pid, signal.SIGCONT)
        await pause(dice.uniform(0, 0.02), "the next attempt is made at another moment")
    pytest.fail(f"never stopped it {'in' if in_transaction else 'between'} transactions")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("in_transaction", [True, False], ids=["in a transaction", "between commit and publication"])
async def test_worker_resumed_after_its_successor_took_over_corrupts_nothing(
    tmp_path: Path, postgresql_url: str, amqp_url: str, *, in_transaction: bool
) -> None:
    """The successor continues within the timeouts, even if the paused worker has a transaction open."""
    async with load(tmp_path, postgresql_url, amqp_url, sessions=20) as (workers, commands):
        async with commands.running(rounds=25, ahead=300):
            for _ in range(ROUNDS):
                paused = await workers.active()
                successor = next(name for name in WORKERS if name != paused)
                await freeze(workers, commands, paused, in_transaction=in_transaction)
                stored = await commands.stored()
                await commands.wait_until_stored(stored + 1_000)
                assert await workers.commands(successor) > 0
                child = workers.parts[paused].child
                assert child
                os.kill(child.pid, signal.SIGCONT)
                await until(lambda: asyncio.to_thread(workers.parts[paused].ready), PATIENCE)  # noqa: B023
        await commands.send(1)
        await commands.wait_until_published()
        await commands.check()


@pytest.mark.timeout(400)
async def test_random_kills_lose_and_duplicate_nothing(tmp_path: Path, postgresql_url: str, amqp_url: str) -> None:
    """`KILLS` times the active worker: before a commit, between commit and publication, or before the ack."""
    dice = random.Random(SEED)
    async with load(tmp_path, postgresql_url, amqp_url, sessions=20) as (workers, commands):
        async with commands.running(rounds=5, ahead=50):
            for _ in range(KILLS):
                victim = await workers.active()
                await pause(dice.uniform(0, 0.05), "the moment of the crash is random")
                await workers.crash(victim)
        await commands.send(1)
        await commands.wait_until_published()
        await commands.check()
