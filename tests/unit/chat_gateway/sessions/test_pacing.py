"""At most one value per interval, always the last one, and no memory for idle keys."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from chat_gateway.sessions.pacing import Pacing
from tests.support.waiting import until

INTERVAL = 0.05  # seconds


async def at_rest(pacing: Pacing[str, int]) -> None:
    await until(lambda: not len(pacing), 10)


async def test_first_value_is_shown_at_once_and_last_one_finally() -> None:
    """Values in between are skipped."""
    shown: list[tuple[str, int]] = []
    pacing: Pacing[str, int] = Pacing(INTERVAL, lambda key, value: shown.append((key, value)))
    for value in range(5):
        pacing.offer("a", value)
    pacing.offer("b", 7)
    assert shown == [("a", 0), ("b", 7)]
    await at_rest(pacing)
    assert shown == [("a", 0), ("b", 7), ("a", 4)]


async def test_two_values_are_never_shown_within_the_interval() -> None:
    """Also while values keep coming."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    pacing: Pacing[str, int] = Pacing(INTERVAL, lambda _key, _value: times.append(loop.time()))

    def offer() -> bool:
        pacing.offer("a", 0)
        return len(times) > 5

    await until(offer, every=INTERVAL / 10)
    await at_rest(pacing)
    assert len(times) > 1
    resolution = 0.01  # seconds: a timer may be that early
    assert all(later - earlier >= INTERVAL - resolution for earlier, later in pairwise(times))


async def test_closed_pacing_shows_nothing() -> None:
    """The timers are gone as well."""
    shown: list[int] = []
    pacing: Pacing[str, int] = Pacing(INTERVAL, lambda _key, value: shown.append(value))
    pacing.offer("a", 1)
    pacing.offer("a", 2)
    pacing.close()
    control: list[int] = []  # shows when a timer that began later is over
    other: Pacing[str, int] = Pacing(INTERVAL, lambda _key, value: control.append(value))
    other.offer("a", 1)
    other.offer("a", 2)
    await until(lambda: control == [1, 2])
    assert shown == [1]
    assert not len(pacing)
