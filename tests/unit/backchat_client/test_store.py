"""The outbox on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backchat_client.state.outbox import Outbox, Outgoing
from backchat_client.store import MemoryStore, SQLiteStore, Store


def item(number: int, session: str = "S", content: str = "text") -> Outgoing:
    return Outgoing(session, f"c{number}", content, "m1" if number % 2 else None)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "outbox.db")


async def test_store_keeps_the_order(store: Store) -> None:
    """`load` returns what was added and not removed, in order; a duplicate changes nothing."""
    for number in range(5):
        await store.add(item(number))
    await store.add(item(1, content="another text"))
    await store.add(item(1, session="T"))
    store.remove("S", "c2")
    store.remove("S", "unknown")
    assert store.load() == [item(0), item(1), item(3), item(4), item(1, session="T")]
    store.close()


async def test_store_survives_the_process(tmp_path: Path) -> None:
    """A second store on the same file, with the first one still open, loads everything."""
    first = SQLiteStore(tmp_path / "outbox.db")
    await asyncio.gather(*(first.add(item(number, content="zoë 😀")) for number in range(20)))
    first.remove("S", "c0")
    second = SQLiteStore(tmp_path / "outbox.db")
    assert second.load() == [item(number, content="zoë 😀") for number in range(1, 20)]
    first.close()
    second.close()


def test_outbox_has_a_lane_per_session() -> None:
    """Each session's first message may be sent; lanes are ordered by their first messages."""
    outbox = Outbox([item(0), item(1, "T"), item(2)])
    assert outbox.lanes() == ["S", "T"]
    assert outbox.remove("S", "c0") == item(0)
    assert outbox.remove("S", "c0") is None
    assert (outbox.first("S"), outbox.first("T"), outbox.first("U")) == (item(2), item(1, "T"), None)
    assert outbox.lanes() == ["T", "S"]
    assert [each.client_message_id for each in outbox] == ["c1", "c2"]
