"""Deltas leave in batches."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from chatbot_worker.replies.delta_batcher import INTERVAL_MAX, INTERVAL_MIN, DeltaBatcher
from shared.contracts.envelope import Event
from shared.contracts.events import ReplyStreamed
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.support.waiting import until


def piece(number: int) -> Event:
    streamed = ReplyStreamed(
        session_id=uuid4(), message_id=uuid4(), chatbot_id="bot", attempt=1, offset=number, text="x", snapshot=False
    )
    return Event("test", streamed)


async def test_the_first_leaves_at_once_and_the_next_ones_together() -> None:
    """In order, in one turn of the loop; after a pause one leaves at once again, and a flush waits for nothing."""
    bus = FakeBus()
    batcher = DeltaBatcher(bus)
    batcher.stream("s.0", piece(0))
    assert len(bus.streamed) == 1
    for number in range(1, 6):
        batcher.stream("s.0", piece(number))
    assert len(bus.streamed) == 1
    await until(lambda: len(bus.streamed) > 1)
    assert [event.data.offset for _, _, event in bus.streamed] == list(range(6))  # type: ignore[attr-defined]
    batcher.stream("s.0", piece(6))
    batcher.flush()
    assert len(bus.streamed) == 7


async def test_interval_grows_with_the_rate_of_deltas(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the rate, so that they are short again when it falls."""
    pauses: list[float] = []

    def call_later(pause: float, _blow: object) -> None:
        pauses.append(pause)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", call_later, raising=False)
    batcher = DeltaBatcher(FakeBus())
    batcher._timer = asyncio.TimerHandle(0, print, (), loop)
    for events in (1, 5, 14, 16, 15, 0, 3):
        for number in range(events):
            batcher._pending.append(("s.0", piece(number)))
        batcher._send_batch()
    assert pauses == [
        INTERVAL_MIN,
        INTERVAL_MAX,
        INTERVAL_MIN,
        INTERVAL_MAX,
        INTERVAL_MIN,
        INTERVAL_MIN,
    ]
