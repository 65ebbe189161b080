"""A full or slow disk and foreign files: errors are reported, memory is bounded, and the bus recovers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from shared.bus.in_process import InProcessBus, journal, publisher
from shared.bus.in_process.journal import Journal
from shared.bus.port import missing_of
from shared.contracts.envelope import Event, read_body
from shared.contracts.queries import Reply
from shared.contracts.topology import Exchange, Queue
from shared.errors import Unavailable
from tests.support.waiting import pause, until

LOG = Exchange("log", "direct", persistent=True, mandatory=True)
DELIVERY = Exchange("delivery", "direct", persistent=False, mandatory=False)
QUEUE = Queue("queue", "quorum", ((LOG, "k"),))


def _event(n: int, padding: int = 0) -> Event:
    return Event("test", Reply(result={"n": n, "padding": "x" * padding}))


async def _rest(bus: InProcessBus, count: int) -> list[int]:
    """Take and acknowledge `count` events; return their numbers."""
    subscription = await bus.subscribe(QUEUE, prefetch=1_000)
    got: list[int] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            batch = await subscription.take()
            got += [event.data["result"]["n"] for d in batch.deliveries for event in read_body(d.body)]
            await subscription.ack(batch.deliveries)
    await subscription.close()
    return got


async def test_failed_commit_refuses_and_the_next_one_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "RETRY_DELAY", 0.01)
    broken = threading.Event()
    write = Journal.write

    def failing(self: Journal, rows: Any, settled: Any) -> None:
        if broken.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        write(self, rows, settled)

    monkeypatch.setattr(Journal, "write", failing)
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        await bus.publish(LOG, "k", _event(1))
        broken.set()
        with pytest.raises(Unavailable):
            await bus.publish(LOG, "k", _event(2))
        assert not bus.connected

        broken.clear()
        await until(lambda: bus.connected)  # it tries again without a publication
        await bus.publish(LOG, "k", _event(3))
        assert await _rest(bus, 2) == [1, 3]


async def test_acks_are_written_again_after_failed_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "RETRY_DELAY", 0.01)
    failures = ["first", "second"]
    write = Journal.write

    def failing(self: Journal, rows: Any, settled: Any) -> None:
        if settled and failures:
            raise sqlite3.OperationalError(f"disk I/O error, the {failures.pop(0)}")
        write(self, rows, settled)

    monkeypatch.setattr(Journal, "write", failing)
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        for n in range(3):
            await bus.publish(LOG, "k", _event(n))
        assert await _rest(bus, 3) == [0, 1, 2]
        await until(lambda: not failures and bus.connected)
        await bus.publish(LOG, "k", _event(3))

    async with InProcessBus(tmp_path / "bus.db") as bus:
        assert await _rest(bus, 1) == [3]


async def test_slow_commit_is_unknown_and_still_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "PUBLISH_TIMEOUT", 0.05)
    go_on = threading.Event()
    go_on.set()
    write = Journal.write

    def slow(self: Journal, rows: Any, settled: Any) -> None:
        go_on.wait(5)
        write(self, rows, settled)

    monkeypatch.setattr(Journal, "write", slow)
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        go_on.clear()
        first = bus.publish(LOG, "k", _event(1))
        await asyncio.sleep(0)
        second = bus.publish(LOG, "k", _event(2))
        for published in (first, second):
            with pytest.raises(Unavailable, match="not known"):
                await published
        go_on.set()
        assert await _rest(bus, 2) == [1, 2]


async def test_all_queues_share_one_memory_limit(tmp_path: Path) -> None:
    gateway = Queue("gateway", "exclusive", ((DELIVERY, "s"),), max_length=20_000, max_bytes=50_000)
    async with InProcessBus(tmp_path / "bus.db", held_bytes_max=100_000) as bus:
        await bus.declare(queues=[QUEUE])
        listener = await bus.subscribe(gateway, prefetch=10)
        held = 0
        with pytest.raises(Unavailable):
            while True:
                await bus.publish(LOG, "k", _event(held, 5_000))
                held += 1
        assert 10 < held < 20
        await bus.publish(DELIVERY, "s", _event(-1))  # a queue with its own limit still accepts events
        assert (await listener.take()).deliveries
        assert await _rest(bus, held) == list(range(held))
        await bus.publish(LOG, "k", _event(held))


async def test_confirmed_events_are_restored_above_a_lowered_limit(tmp_path: Path) -> None:
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        for n in range(20):
            await bus.publish(LOG, "k", _event(n, 5_000))
    async with InProcessBus(tmp_path / "bus.db", held_bytes_max=50_000) as bus:
        with pytest.raises(Unavailable):
            await bus.publish(LOG, "k", _event(20))
        assert await _rest(bus, 20) == list(range(20))
        await bus.publish(LOG, "k", _event(20))


async def test_no_timer_fires_after_the_bus_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "REMOVAL_DELAY", 0.0)
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        for n in range(3):
            await bus.publish(LOG, "k", _event(n))
    for _ in range(5):
        await asyncio.sleep(0)  # a timer that is left would fire
    assert complaints == []
    async with InProcessBus(tmp_path / "bus.db") as bus:
        assert await _rest(bus, 3) == [0, 1, 2]


async def test_commit_into_a_closed_queue_releases_its_memory(tmp_path: Path) -> None:
    own = Queue("own", "exclusive", ((LOG, "k"),))
    async with InProcessBus(tmp_path / "bus.db", held_bytes_max=20_000) as bus:
        await bus.declare(queues=[QUEUE])
        for n in range(20):
            listener = await bus.subscribe(own, prefetch=1)
            published = bus.publish(LOG, "k", _event(n, 2_000))
            await asyncio.sleep(0)
            await listener.close()  # during the commit
            await published
            assert await _rest(bus, 1) == [n]


async def test_journal_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    async with InProcessBus(tmp_path / "bus.db"):
        pass
    database = sqlite3.connect(tmp_path / "bus.db")
    database.execute("PRAGMA user_version=2")
    database.close()
    with pytest.raises(Unavailable, match="newer release"):
        await InProcessBus(tmp_path / "bus.db").__aenter__()


async def test_file_that_is_no_journal_is_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    path.write_bytes(b"these are somebody's notes, not a database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        await InProcessBus(path).__aenter__()
    assert path.read_bytes().startswith(b"these are")


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_WRITE])
async def test_full_disk_is_named_until_a_commit_succeeds_with_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(publisher, "RETRY_DELAY", 0.01)
    broken = True
    write = Journal.write

    def failing(self: Journal, rows: Any, removed: Any) -> None:
        if broken:
            error = sqlite3.OperationalError("no room")
            error.sqlite_errorcode = code
            raise error
        write(self, rows, removed)

    monkeypatch.setattr(Journal, "write", failing)
    monkeypatch.setattr(journal, "ROOM", 2**62)  # the disk counts as full
    async with InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare(queues=[QUEUE])
        with pytest.raises(Unavailable):
            await bus.publish(LOG, "k", _event(1))
        assert missing_of(bus) == ["broker", "disk"]
        broken = False
        await pause(0.1, "several tries")
        assert missing_of(bus) == ["broker", "disk"], "there is no room yet"
        monkeypatch.setattr(journal, "ROOM", 0)
        await until(lambda: missing_of(bus) == [])
