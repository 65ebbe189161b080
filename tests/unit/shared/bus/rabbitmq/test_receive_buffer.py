"""Taking, acknowledging, and the separation of epochs."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.port import Delivery
from shared.bus.rabbitmq.receive_buffer import ReceiveBuffer, acknowledgements
from shared.errors import Unavailable


@pytest.mark.parametrize(
    ("unacked", "acked", "expected"),
    [
        ([], set(), []),
        ([1, 2, 3], set(), []),
        ([1, 2, 3], {1}, [(1, False)]),
        ([1, 2, 3], {1, 2}, [(2, True)]),
        ([1, 2, 3], {2, 3}, [(2, False), (3, False)]),
        ([1, 2, 3, 4, 5], {1, 2, 4}, [(2, True), (4, False)]),
        ([3, 7, 9], {3, 7, 9}, [(9, True)]),
    ],
)
def test_contiguous_acks_are_sent_as_one(unacked: list[int], acked: set[int], expected: list[tuple[int, bool]]) -> None:
    assert acknowledgements(unacked, acked) == expected


@given(
    st.sets(st.integers(1, 40)).flatmap(
        lambda tags: st.tuples(st.just(tags), st.sets(st.sampled_from(sorted(tags) or [0])))
    )
)
def test_acks_cover_exactly_the_acked_deliveries(case: tuple[set[int], set[int]]) -> None:
    """By the rules of a broker, where `multiple` covers all tags up to its own, they cover exactly `acked`."""
    unacked, acked = case[0], case[1] & case[0]
    left = set(unacked)
    for tag, multiple in acknowledgements(sorted(unacked), acked):
        assert tag in left  # otherwise the broker closes the channel
        left -= {other for other in left if other == tag or (multiple and other < tag)}
    assert left == unacked - acked


def delivery(buffer: ReceiveBuffer, tag: int) -> Delivery:
    return Delivery(b"[]", "k", 0, tag, buffer.epoch)


async def test_deliveries_of_an_earlier_epoch_are_void() -> None:
    buffer = ReceiveBuffer()
    buffer.begin()
    old = delivery(buffer, 1)
    buffer.put(old)
    buffer.begin()
    buffer.put(old)  # late, from the old channel
    new = delivery(buffer, 1)
    buffer.put(new)
    assert list((await buffer.take(10)).deliveries) == [new]
    assert buffer.acknowledge([old]) == []
    assert buffer.acknowledge([new]) == [(1, False)]
    assert buffer.acknowledge([new]) == []


async def test_take_waits_and_returns_at_most_the_requested_number_in_order() -> None:
    buffer = ReceiveBuffer()
    buffer.begin()
    waiting = asyncio.create_task(buffer.take(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    for tag in (1, 2, 3):
        buffer.put(delivery(buffer, tag))
    assert [d.tag for d in (await waiting).deliveries] == [1, 2]
    assert [d.tag for d in (await buffer.take(2)).deliveries] == [3]


async def test_gap_is_reported_once_even_without_deliveries() -> None:
    buffer = ReceiveBuffer()
    buffer.begin()
    buffer.report_gap()
    batch = await buffer.take(1)
    assert batch.gap
    assert not batch.deliveries
    buffer.put(delivery(buffer, 1))
    assert not (await buffer.take(1)).gap


async def test_close_wakes_a_waiting_take() -> None:
    buffer = ReceiveBuffer()
    waiting = asyncio.create_task(buffer.take(1))
    await asyncio.sleep(0)
    buffer.close()
    with pytest.raises(Unavailable):
        await waiting
