"""Rules of group commit: batch limits, resending, bounds."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from shared.bus.rabbitmq import send_buffer
from shared.bus.rabbitmq.send_buffer import PendingEvent, SendBuffer, cut_batch
from shared.contracts.envelope import join
from shared.contracts.topology import BATCH_BYTES, BATCH_EVENTS, CATALOGUE, EVENT_BYTES_MAX, TURNS
from shared.errors import PayloadTooLarge, Unavailable


def event(body: bytes = b"{}", *, resend: bool = True, due: float = 5.0) -> PendingEvent:
    return PendingEvent(body, asyncio.get_running_loop().create_future(), resend, due)


async def test_batch_has_at_most_the_maximum_of_events() -> None:
    waiting = deque(event() for _ in range(BATCH_EVENTS + 1))
    assert len(cut_batch(waiting)) == BATCH_EVENTS
    assert len(cut_batch(waiting)) == 1
    assert cut_batch(waiting) == []


async def test_batch_has_at_most_the_maximum_of_bytes() -> None:
    """Two events that fill a body exactly form one batch; with one byte more they form two."""
    half = BATCH_BYTES // 2
    exact = deque([event(b"x" * (half - 2)), event(b"x" * (half - 1))])
    batch = cut_batch(exact)
    assert len(batch) == 2
    assert len(join(e.body for e in batch)) == BATCH_BYTES
    over = deque([event(b"x" * (half - 1)), event(b"x" * (half - 1))])
    assert len(cut_batch(over)) == 1


async def test_event_larger_than_a_batch_is_sent_separately() -> None:
    waiting = deque([event(b"x" * BATCH_BYTES), event()])
    assert len(cut_batch(waiting)) == 1


async def test_batch_with_unknown_outcome_is_sent_again_before_later_events() -> None:
    buffers = SendBuffer()
    first, second = event(b"1"), event(b"2")
    buffer = buffers.add(TURNS, "k", first)
    assert buffer.next_batch() == [first]
    buffers.add(TURNS, "k", second)
    assert buffer.next_batch() == [first]
    buffers.finish(buffer, None)
    assert first.outcome is not None
    assert first.outcome.done()
    assert buffer.next_batch() == [second]


async def test_buffer_is_removed_with_its_last_event() -> None:
    buffers = SendBuffer()
    buffer = buffers.add(TURNS, "k", event())
    assert buffers
    buffer.next_batch()
    buffers.finish(buffer, None)
    assert len(buffers) == 0
    assert not buffers


async def test_only_events_to_resend_survive_a_lost_connection() -> None:
    buffers = SendBuffer()
    resent, dropped = event(b"resent"), event(b"dropped", resend=False)
    buffer = buffers.add(TURNS, "k", dropped)
    buffers.add(TURNS, "k", resent)
    alone = buffers.add(CATALOGUE, "", event(resend=False))
    buffer.next_batch()
    assert buffers.drop_transient() == 2
    assert list(buffers) == [buffer]
    assert buffer.batch == [resent]
    assert not alone.batch
    assert dropped.outcome is not None
    assert isinstance(dropped.outcome.exception(), Unavailable)
    assert resent.outcome is not None
    assert not resent.outcome.done()


async def test_overdue_outcome_is_unavailable_and_its_event_stays() -> None:
    buffers = SendBuffer()
    overdue, recent = event(due=1.0), event(due=3.0)
    buffer = buffers.add(TURNS, "k", overdue)
    buffers.add(TURNS, "k", recent)
    assert buffers.expire(2.0) == 1
    assert buffers.expire(2.0) == 0
    assert overdue.outcome is not None
    assert isinstance(overdue.outcome.exception(), Unavailable)
    assert buffer.next_batch() == [overdue, recent]
    buffers.finish(buffer, None)  # a confirm after that is no error


async def test_all_pending_events_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_buffer, "PENDING_EVENTS_MAX", 3)
    buffers = SendBuffer()
    for key in ("a", "b", "c"):
        assert buffers.refusal(b"{}", key) is None
        buffer = buffers.add(TURNS, key, event())
    assert isinstance(buffers.refusal(b"{}", "d"), Unavailable)
    buffer.next_batch()
    assert isinstance(buffers.refusal(b"{}", "d"), Unavailable)  # a batch in flight counts as well
    buffers.finish(buffer, None)
    assert buffers.refusal(b"{}", "d") is None
    monkeypatch.setattr(send_buffer, "PENDING_BYTES_MAX", 5)
    assert isinstance(buffers.refusal(b"{}", "d"), Unavailable)


async def test_event_that_cannot_be_sent_is_refused() -> None:
    buffers = SendBuffer()
    assert isinstance(buffers.refusal(b"x" * (EVENT_BYTES_MAX + 1), "k"), PayloadTooLarge)
    assert isinstance(buffers.refusal(b"{}", "é" * 128), Unavailable)
    pending = event()
    buffers.add(TURNS, "k", pending)
    assert buffers.close() == 1
    assert pending.outcome is not None
    assert isinstance(pending.outcome.exception(), Unavailable)
    assert isinstance(buffers.refusal(b"{}", "k"), Unavailable)
