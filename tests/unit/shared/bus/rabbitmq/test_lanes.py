"""Group commit's rules: what fits in a body, what is kept, what is bounded."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from shared.bus.rabbitmq import lanes
from shared.bus.rabbitmq.lanes import Entry, Lanes, cut
from shared.contracts.envelope import join
from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, CATALOGUE, EVENT_BYTES_MAX, TURNS
from shared.errors import PayloadTooLarge, Unavailable


def entry(body: bytes = b"{}", *, kept: bool = True, due: float = 5.0) -> Entry:
    return Entry(body, asyncio.get_running_loop().create_future(), kept, due)


async def test_a_body_holds_at_most_so_many_events() -> None:
    waiting = deque(entry() for _ in range(BATCH_EVENTS + 1))
    assert len(cut(waiting)) == BATCH_EVENTS
    assert len(cut(waiting)) == 1
    assert cut(waiting) == []


async def test_a_body_holds_at_most_so_many_bytes() -> None:
    """Two events that fill a body to the byte go together; with one byte more they do not."""
    half = BATCH_BYTES // 2
    exact = deque([entry(b"x" * (half - 2)), entry(b"x" * (half - 1))])
    batch = cut(exact)
    assert len(batch) == 2
    assert len(join(e.body for e in batch)) == BATCH_BYTES
    over = deque([entry(b"x" * (half - 1)), entry(b"x" * (half - 1))])
    assert len(cut(over)) == 1


async def test_a_large_event_goes_alone() -> None:
    waiting = deque([entry(b"x" * BATCH_BYTES), entry()])
    assert len(cut(waiting)) == 1


async def test_an_unknown_batch_goes_again_before_what_came_later() -> None:
    all_lanes = Lanes()
    first, second = entry(b"1"), entry(b"2")
    lane = all_lanes.add(TURNS, "k", first)
    assert lane.next_batch() == [first]
    all_lanes.add(TURNS, "k", second)
    assert lane.next_batch() == [first]
    all_lanes.finish(lane, None)
    assert first.held is not None
    assert first.held.done()
    assert lane.next_batch() == [second]


async def test_a_lane_lives_as_long_as_something_waits() -> None:
    all_lanes = Lanes()
    lane = all_lanes.add(TURNS, "k", entry())
    assert not all_lanes.empty.is_set()
    lane.next_batch()
    all_lanes.finish(lane, None)
    assert len(all_lanes) == 0
    assert all_lanes.empty.is_set()


async def test_only_what_is_kept_outlives_the_connection() -> None:
    all_lanes = Lanes()
    kept, lost = entry(b"kept"), entry(b"lost", kept=False)
    lane = all_lanes.add(TURNS, "k", lost)
    all_lanes.add(TURNS, "k", kept)
    alone = all_lanes.add(CATALOGUE, "", entry(kept=False))
    lane.next_batch()
    assert all_lanes.drop_unkept() == 2
    assert list(all_lanes) == [lane]
    assert lane.batch == [kept]
    assert not alone.batch
    assert lost.held is not None
    assert isinstance(lost.held.exception(), Unavailable)
    assert kept.held is not None
    assert not kept.held.done()


async def test_late_waiters_are_told_and_their_events_stay() -> None:
    all_lanes = Lanes()
    late, young = entry(due=1.0), entry(due=3.0)
    lane = all_lanes.add(TURNS, "k", late)
    all_lanes.add(TURNS, "k", young)
    assert all_lanes.expire(2.0) == 1
    assert all_lanes.expire(2.0) == 0
    assert late.held is not None
    assert isinstance(late.held.exception(), Unavailable)
    assert lane.next_batch() == [late, young]
    all_lanes.finish(lane, None)  # and a confirm that comes later is no error


async def test_everything_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "WAITING_EVENTS_MAX", 3)
    all_lanes = Lanes()
    for key in ("a", "b", "c"):
        assert all_lanes.refusal(b"{}", key) is None
        lane = all_lanes.add(TURNS, key, entry())
    assert isinstance(all_lanes.refusal(b"{}", "d"), Unavailable)
    lane.next_batch()
    assert isinstance(all_lanes.refusal(b"{}", "d"), Unavailable)  # under way counts as well
    all_lanes.finish(lane, None)
    assert all_lanes.refusal(b"{}", "d") is None
    monkeypatch.setattr(lanes, "WAITING_BYTES_MAX", 5)
    assert isinstance(all_lanes.refusal(b"{}", "d"), Unavailable)


async def test_what_cannot_be_sent_is_refused() -> None:
    all_lanes = Lanes()
    assert isinstance(all_lanes.refusal(b"x" * (EVENT_BYTES_MAX + 1), "k"), PayloadTooLarge)
    assert isinstance(all_lanes.refusal(b"{}", "é" * 128), Unavailable)
    waiter = entry()
    all_lanes.add(TURNS, "k", waiter)
    assert all_lanes.close() == 1
    assert waiter.held is not None
    assert isinstance(waiter.held.exception(), Unavailable)
    assert isinstance(all_lanes.refusal(b"{}", "k"), Unavailable)
