"""`kill -9` at any moment loses no confirmed event and keeps order; a second process is refused."""

from __future__ import annotations

import asyncio
import random
import stat
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from shared.bus.in_process import InProcessBus
from shared.contracts.envelope import read_body
from shared.errors import Unavailable
from tests.integration.in_process_bus.publisher import KEYS, PREFETCH, QUEUE

ROUNDS = 3
ROUND = 1_000_000  # first number of each process: higher in a later one
Lines = list[list[str]]


def _run_and_kill(journal: Path, round_: int, lines: int) -> Lines:
    """Start a publisher, kill it after `lines` lines, and return all that it printed."""
    command = [sys.executable, "-m", "tests.integration.in_process_bus.publisher", str(journal), str(round_ * ROUND)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert all(said[:lines]), "the publisher ended before it was killed"
    return [line.split() for line in said if line.endswith("\n")]


async def _drain(journal: Path) -> dict[str, list[int]]:
    """Return the numbers in the queue by key, in order."""
    left: dict[str, list[int]] = defaultdict(list)
    counts: list[int] = []
    async with InProcessBus(journal) as bus:
        subscription = await bus.subscribe(QUEUE, prefetch=100_000)
        try:
            while True:
                async with asyncio.timeout(1):  # without a delivery: the queue is empty
                    batch = await subscription.take(100_000)
                for delivery in batch.deliveries:
                    counts.append(delivery.delivery_count)
                    left[delivery.key] += [event.data["result"]["n"] for event in read_body(delivery.body)]
        except TimeoutError:
            assert counts, "the queue was empty"
            assert counts[0] >= 1, "entries delivered before a crash count as delivered"
            delivered = 2 * PREFETCH * ROUNDS  # at most: the heads of the queue at each crash
            assert sum(count > 0 for count in counts) <= delivered, "entries that were never delivered do not"
            return left


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_loses_no_confirmed_event_and_keeps_order(tmp_path: Path, seed: int) -> None:
    journal = tmp_path / "bus.db"
    chance = random.Random(seed)
    said: Lines = []
    for round_ in range(ROUNDS):
        said += _run_and_kill(journal, round_, chance.randrange(50, 800))

    left = asyncio.run(_drain(journal))

    for key in KEYS:
        held = [int(n) for word, of, n in said if word == "held" and of == key]
        acked = {int(n) for word, of, n in said if word == "acking" and of == key}
        assert len(held) > 5
        assert left[key] == sorted(set(left[key])), "out of order or duplicated"
        assert set(held) - acked <= set(left[key]), "a confirmed and unacknowledged event is lost"


async def test_second_process_cannot_open_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "bus.db"
    async with InProcessBus(journal) as bus:
        assert bus.connected
        command = [sys.executable, "-m", "tests.integration.in_process_bus.publisher", str(journal), "0"]
        child = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        _, errors = await asyncio.wait_for(child.communicate(), 50)
        assert child.returncode == 1
        assert "another process has bus.db open" in errors.decode()


async def test_one_process_cannot_open_the_journal_twice(tmp_path: Path) -> None:
    async with InProcessBus(tmp_path / "bus.db"):
        with pytest.raises(Unavailable, match="open"):
            await InProcessBus(tmp_path / "bus.db").__aenter__()


async def test_journal_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        files = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    assert modes == {"bus.db": 0o600, "bus.db-wal": 0o600}
