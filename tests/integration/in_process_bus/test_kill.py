"""`kill -9` at any moment: nothing confirmed is lost, order is kept, and a second process is refused."""

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
ROUND = 1_000_000  # numbers of a later process are higher
Lines = list[list[str]]


def _run_and_kill(journal: Path, round_: int, lines: int) -> Lines:
    """Start a publisher, read so many of its lines, kill it, and read what else it had said."""
    command = [sys.executable, "-m", "tests.integration.in_process_bus.publisher", str(journal), str(round_ * ROUND)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert all(said[:lines]), "the publisher died by itself"
    return [line.split() for line in said if line.endswith("\n")]


async def _drain(journal: Path) -> dict[str, list[int]]:
    """All that the queue holds, for each key, in order."""
    left: dict[str, list[int]] = defaultdict(list)
    counts: list[int] = []
    async with InProcessBus(journal) as bus:
        subscription = await bus.subscribe(QUEUE, prefetch=100_000)
        try:
            while True:
                async with asyncio.timeout(1):  # of silence: it is empty
                    batch = await subscription.take(100_000)
                for delivery in batch.deliveries:
                    counts.append(delivery.delivery_count)
                    left[delivery.key] += [event.data["result"]["n"] for event in read_body(delivery.body)]
        except TimeoutError:
            assert counts, "nothing was left at all"
            assert counts[0] >= 1, "what was handed out before a crash counts as delivered"
            handed_out = 2 * PREFETCH * ROUNDS  # at most: the heads of the queue at each crash
            assert sum(count > 0 for count in counts) <= handed_out, "what was never handed out does not"
            return left


@pytest.mark.parametrize("seed", range(3))
def test_nothing_confirmed_is_lost_and_order_is_kept(tmp_path: Path, seed: int) -> None:
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
        assert left[key] == sorted(set(left[key])), "in order, and none twice"
        assert set(held) - acked <= set(left[key]), "confirmed, never acked, and gone"


async def test_a_second_process_cannot_open_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "bus.db"
    async with InProcessBus(journal) as bus:
        assert bus.connected
        command = [sys.executable, "-m", "tests.integration.in_process_bus.publisher", str(journal), "0"]
        child = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        _, errors = await asyncio.wait_for(child.communicate(), 50)
        assert child.returncode == 1
        assert "another process has bus.db open" in errors.decode()


async def test_the_same_process_cannot_open_it_twice(tmp_path: Path) -> None:
    async with InProcessBus(tmp_path / "bus.db"):
        with pytest.raises(Unavailable, match="open"):
            await InProcessBus(tmp_path / "bus.db").__aenter__()


async def test_nobody_else_may_read_what_people_wrote(tmp_path: Path) -> None:
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        files = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    assert modes == {"bus.db": 0o600, "bus.db-wal": 0o600}
