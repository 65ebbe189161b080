"""Slots are shared fairly among users."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from uuid import uuid4

from chatbot_worker.turns.fairness import CHECK_INTERVAL_MAX, CHECK_INTERVAL_MIN, BacklogShare, Slots, requester
from shared.contracts.turns import ContextMessage, RunTurn
from shared.contracts.views import SenderType


class Hall:
    """Users of the slots. `began` lists the users of running turns in the order of their start."""

    def __init__(self, most: int) -> None:
        self.slots = Slots(most)
        self.began: list[str] = []
        self.ends: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, who: str, times: int = 1) -> None:
        for _ in range(times):
            self.tasks.append(asyncio.create_task(self._stay(who)))

    async def _stay(self, who: str) -> None:
        async with self.slots.hold(who):
            self.began.append(who)
            end = asyncio.Event()
            self.ends.append(end)
            await end.wait()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self, place: int) -> None:
        self.ends[place].set()
        await self.settle()


async def test_new_user_runs_before_waiting_turns_of_a_busy_user() -> None:
    """One slot, twenty of ada's turns waiting: bob's turn, the last one, is next, and then they alternate."""
    hall = Hall(1)
    hall.come("ada", 20)
    hall.come("bob", 2)
    await hall.settle()
    for place in range(5):
        await hall.end(place)
    assert hall.began == ["ada", "bob", "ada", "bob", "ada", "ada"]


async def test_one_user_holds_at_most_three_quarters_of_the_slots() -> None:
    """A quarter is kept free for others, who need not wait at all."""
    hall = Hall(8)
    hall.come("ada", 20)
    await hall.settle()
    assert hall.began == ["ada"] * 6
    hall.come("bob", 3)
    await hall.settle()
    assert hall.began == ["ada"] * 6 + ["bob"] * 2
    await hall.end(0)
    assert hall.began[8:] == ["bob"]


async def test_free_slot_goes_to_the_user_with_the_fewest() -> None:
    """Three of ada's and one of bob's run: bob's next turn goes first although ada's waited longer."""
    hall = Hall(4)
    hall.come("ada", 3)
    hall.come("bob", 1)
    await hall.settle()
    hall.come("ada", 5)
    hall.come("bob", 1)
    await hall.settle()
    await hall.end(1)
    assert hall.began[4:] == ["bob"]


async def test_single_user_may_hold_all_of_three_slots() -> None:
    """Up to three slots a single person may use them all."""
    hall = Hall(3)
    hall.come("ada", 5)
    await hall.settle()
    assert hall.began == ["ada"] * 3


async def test_resize_affects_new_turns_only() -> None:
    """After a reload of the catalogue running turns continue."""
    hall = Hall(2)
    hall.come("ada", 1)
    hall.come("bob", 4)
    await hall.settle()
    hall.slots.resize(3)
    await hall.settle()
    assert hall.began == ["ada", "bob", "bob"]
    hall.slots.resize(1)
    await hall.end(0)
    await hall.end(1)
    assert len(hall.began) == 3
    await hall.end(2)
    assert len(hall.began) == 4


async def test_cancelled_turns_release_their_slots() -> None:
    """A thousand comings, goings and cancellations at random: never too many at once, and all slots free at the end."""
    draw = random.Random(7)
    slots = Slots(5)
    running = 0

    async def stay(who: str) -> None:
        nonlocal running
        async with slots.hold(who):
            running += 1
            assert running <= 5
            try:
                await asyncio.sleep(0)
            finally:
                running -= 1

    tasks = []
    for _ in range(1_000):
        tasks.append(asyncio.create_task(stay(draw.choice("abcdef"))))
        if draw.random() < 0.3:
            draw.choice(tasks).cancel()
        if draw.random() < 0.5:
            await asyncio.sleep(0)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(end is None for end in ends)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
    assert (slots._taken, +slots._held, slots._waiting, slots._lines) == (0, {}, {}, {})


def test_excess_is_half_of_the_turns_of_a_dominant_user() -> None:
    """No excess while there is room or users have equal shares; checks become rarer without turns of another user."""
    now = 100.0
    backlog = BacklogShare(lambda: now)
    assert backlog.excess(["ada"] * 31, 32) == ("", 0)
    assert backlog.excess(["ada", "bob"] * 16, 32) == ("", 0)
    assert backlog.excess(["ada"] * 20 + ["bob"] * 12, 32) == ("ada", 10)
    assert backlog.excess(["ada"] * 32, 32) == ("", 0)
    looks = []
    for _ in range(2_000):
        now += 0.1
        if backlog.excess(["ada"] * 32, 32)[1]:
            looks.append(now)
    pauses = [round(later - earlier) for earlier, later in pairwise(looks)]
    assert pauses[:6] == [2, 4, 8, 16, 32, 32]
    now += CHECK_INTERVAL_MAX
    assert backlog.excess(["ada"] * 31 + ["bob"], 32) == ("ada", 15)
    now += CHECK_INTERVAL_MIN
    assert backlog.excess(["ada"] * 31 + ["bob"], 32) == ("ada", 15)


def message(sender_type: SenderType, sender_id: str, *, unanswered: bool) -> ContextMessage:
    return ContextMessage(id=uuid4(), sender_type=sender_type, sender_id=sender_id, content="", unanswered=unanswered)


def test_requester_is_the_author_of_the_newest_unanswered_message() -> None:
    """Who asked last; behind a chatbot's question stands the person who spoke last; else the session."""
    ada, bob = message("user", "ada", unanswered=False), message("user", "bob", unanswered=True)
    eve, bot = message("user", "eve", unanswered=True), message("chatbot", "bot", unanswered=True)

    def turn(*context: ContextMessage) -> RunTurn:
        return RunTurn(
            session_id=uuid4(),
            message_id=uuid4(),
            chatbot_id="a",
            reply_to=uuid4(),
            starts=0,
            again=False,
            context=list(context),
        )

    assert requester(turn(ada, bob, eve, ada)) == "eve"
    assert requester(turn(ada, bot)) == "ada"
    alone = turn(bot)
    assert requester(alone) == str(alone.session_id)
