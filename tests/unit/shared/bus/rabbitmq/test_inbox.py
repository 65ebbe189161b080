"""What is taken, what is acknowledged and how, and that epochs do not mix."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.port import Delivery
from shared.bus.rabbitmq.inbox import Inbox, acknowledgements
from shared.errors import Unavailable


@pytest.mark.parametrize(
    ("unsettled", "settled", "expected"),
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
def test_contiguous_acks_go_as_one(unsettled: list[int], settled: set[int], expected: list[tuple[int, bool]]) -> None:
    assert acknowledgements(unsettled, settled) == expected


@given(
    st.sets(st.integers(1, 40)).flatmap(
        lambda tags: st.tuples(st.just(tags), st.sets(st.sampled_from(sorted(tags) or [0])))
    )
)
def test_acks_settle_exactly_what_they_should(case: tuple[set[int], set[int]]) -> None:
    """Played to a broker's rules, where `multiple` takes everything up to the tag, exactly `settled` is gone."""
    unsettled, settled = case[0], case[1] & case[0]
    left = set(unsettled)
    for tag, multiple in acknowledgements(sorted(unsettled), settled):
        assert tag in left  # else the broker closes the channel
        left -= {other for other in left if other == tag or (multiple and other < tag)}
    assert left == unsettled - settled


def delivery(inbox: Inbox, tag: int) -> Delivery:
    return Delivery(b"[]", "k", 0, tag, inbox.epoch)


async def test_an_epoch_s_end_voids_what_came_in_it() -> None:
    inbox = Inbox()
    inbox.begin()
    old = delivery(inbox, 1)
    inbox.put(old)
    inbox.begin()
    inbox.put(old)  # a straggler of the old channel
    new = delivery(inbox, 1)
    inbox.put(new)
    assert list((await inbox.take(10)).deliveries) == [new]
    assert inbox.settle([old]) == []
    assert inbox.settle([new]) == [(1, False)]
    assert inbox.settle([new]) == []


async def test_take_waits_takes_in_order_and_takes_at_most_so_many() -> None:
    inbox = Inbox()
    inbox.begin()
    waiting = asyncio.create_task(inbox.take(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    for tag in (1, 2, 3):
        inbox.put(delivery(inbox, tag))
    assert [d.tag for d in (await waiting).deliveries] == [1, 2]
    assert [d.tag for d in (await inbox.take(2)).deliveries] == [3]


async def test_a_gap_is_told_once_and_alone_if_need_be() -> None:
    inbox = Inbox()
    inbox.begin()
    inbox.tell_gap()
    batch = await inbox.take(1)
    assert batch.gap
    assert not batch.deliveries
    inbox.put(delivery(inbox, 1))
    assert not (await inbox.take(1)).gap


async def test_closing_wakes_who_waits() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.take(1))
    await asyncio.sleep(0)
    inbox.close()
    with pytest.raises(Unavailable):
        await waiting
