"""Real workers paused and killed under load: whoever takes over and whoever wakes up, the log is stored exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from tests.integration.persistence_worker.crowd import LOOK, PATIENCE, WORKERS, Crowd, Workers, crowded

KILLS = 12
ROUNDS = 2  # pauses of each kind
TRIES = 2_000  # of catching a worker at the moment that is wanted
SEED = 20261123


async def freeze(workers: Workers, crowd: Crowd, name: str, *, in_transaction: bool) -> None:
    """Stop a busy worker with a transaction open, or between two: try until it is so."""
    child = workers.parts[name].child
    assert child
    dice = random.Random(SEED)
    for _ in range(TRIES):
        before = await workers.commands(name)
        os.kill(child.pid, signal.SIGSTOP)
        open_now = await crowd.transactions() > 0  # what it had begun has come to its end: nobody goes on
        if open_now == in_transaction and before:
            return
        os.kill(child.pid, signal.SIGCONT)
        await asyncio.sleep(dice.uniform(0, 0.02))
    pytest.fail(f"never caught it {'in' if in_transaction else 'between'} transactions")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("in_transaction", [True, False], ids=["in a transaction", "between commit and publication"])
async def test_a_paused_worker_that_wakes_after_its_successor_took_over_writes_nothing_wrong(
    tmp_path: Path, postgresql_url: str, amqp_url: str, *, in_transaction: bool
) -> None:
    """Its successor goes on within the timeouts, an open transaction does not hold it up, and the zombie harms nobody."""
    async with crowded(tmp_path, postgresql_url, amqp_url, sessions=20) as (workers, crowd):
        async with crowd.talking(rounds=25, ahead=300):
            for _ in range(ROUNDS):
                zombie = await workers.active()
                successor = next(name for name in WORKERS if name != zombie)
                await freeze(workers, crowd, zombie, in_transaction=in_transaction)
                stored = await crowd.stored()
                await crowd.gone_on(stored + 1_000)
                assert await workers.commands(successor) > 0
                child = workers.parts[zombie].child
                assert child
                os.kill(child.pid, signal.SIGCONT)
                async with asyncio.timeout(PATIENCE):
                    while not await asyncio.to_thread(workers.parts[zombie].ready):  # noqa: ASYNC110 - another process is asked
                        await asyncio.sleep(LOOK)
        await crowd.say(1)
        await crowd.settled()
        await crowd.check()


@pytest.mark.timeout(400)
async def test_kills_at_random_moments_lose_and_double_nothing(
    tmp_path: Path, postgresql_url: str, amqp_url: str
) -> None:
    """Before the commit, between commit and publication, before the ack: a dozen `kill -9` of whichever is at work."""
    dice = random.Random(SEED)
    async with crowded(tmp_path, postgresql_url, amqp_url, sessions=20) as (workers, crowd):
        async with crowd.talking(rounds=5, ahead=50):
            for _ in range(KILLS):
                victim = await workers.active()
                await asyncio.sleep(dice.uniform(0, 0.05))  # the moment is what is tested
                await workers.crash(victim)
        await crowd.say(1)
        await crowd.settled()
        await crowd.check()
