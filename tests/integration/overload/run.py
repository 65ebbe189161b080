"""One run beyond capacity: what the stack can do, what it does at many times that, and what is left afterwards."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from tests.integration.overload.load import Chatter, Ledger, chatters, cpu_seconds, growth, memory_watched
from tests.support.client import PATIENCE, Device, new_account
from tests.support.stack import Stack
from tests.support.waiting import pause, until

SOCKETS = 50
WINDOW = 4  # messages of one socket under way in the closed loop
WARM_UP = 2.0  # seconds
USERS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Rates in messages a second; `…_cost` is CPU ms a stored message, all our processes together.

    `growth` is MiB a second in the second half, by process. On a machine that others use as well, costs can be
    compared where rates cannot: processes that are short of CPU store as much as they get of it.
    """

    capacity: float
    capacity_cost: float
    goodput: float
    goodput_cost: float
    offered: float
    codes: Counter[str]
    vague: int
    cut: int
    acked: int
    lost: int
    doubled: int
    growth: dict[str, float]
    peak: dict[str, float]  # MiB

    def __str__(self) -> str:
        of_capacity = self.goodput / self.capacity
        for_the_same_cpu = self.capacity_cost / self.goodput_cost
        lines = [
            f"capacity {self.capacity:.0f}/s",
            f"offered {self.offered:.0f}/s, {self.offered / self.capacity:.1f} times the capacity",
            f"goodput {self.goodput:.0f}/s, {of_capacity:.0%} of the capacity",
            f"CPU a stored message {self.capacity_cost:.2f} ms at capacity, {self.goodput_cost:.2f} ms beyond it",
            f"goodput for the same CPU {for_the_same_cpu:.0%} of the capacity",
            f"answers {dict(self.codes)}, without retry_after {self.vague}; sockets cut {self.cut}",
            f"acked {self.acked}, of these lost {self.lost}, doubled {self.doubled}",
        ]
        lines += [
            f"{name}: peak {self.peak[name]:.0f} MiB, growth {self.growth[name]:+.2f} MiB/s" for name in self.peak
        ]
        return "\n".join(lines)


async def overload(stack: Stack, *, seconds: float, times: float = 10.0, measure: float = 6.0) -> Outcome:
    """Measure the capacity, offer `times` as much for `seconds`, measure again, then read back what was acked.

    The capacity is the mean of both measurements, because a shared machine does not stay as fast as it was.
    """
    accounts = [await new_account(stack.auth_url) for _ in range(USERS)]
    tokens = [account.token for account in accounts]
    crowd = await chatters(stack, tokens, SOCKETS, Ledger())
    before = await _capacity(stack, crowd, measure)
    ledger = Ledger()
    for chatter in crowd:
        chatter.change_ledger(ledger)
    async with memory_watched(stack) as memory:
        begun = time.monotonic()
        rate = times * before.rate / len(crowd)
        cpu = cpu_seconds(stack)
        await asyncio.gather(*(chatter.open_loop(rate, begun + seconds) for chatter in crowd))
        ended = time.monotonic()
        cpu = cpu_seconds(stack) - cpu
    await asyncio.gather(*(chatter.wire.close() for chatter in crowd))
    crowd_after = await chatters(stack, tokens, SOCKETS, Ledger())
    after = await _capacity(stack, crowd_after, measure)
    await asyncio.gather(*(chatter.wire.close() for chatter in crowd_after))
    stored: Counter[str] = Counter()
    for number, account in enumerate(accounts):
        async with Device(stack.gateway_urls[-1], account.token) as device:
            for chatter in crowd[number :: len(accounts)]:
                stored += await _read_back(device, chatter.session, ledger)
    return Outcome(
        capacity=(before.rate + after.rate) / 2,
        capacity_cost=(before.cost + after.cost) / 2,
        goodput=ledger.stored_between(begun + WARM_UP, ended) / (ended - begun - WARM_UP),
        goodput_cost=1_000 * cpu / max(1, ledger.stored_between(begun, ended)),
        offered=(ledger.sent + ledger.unsendable) / (ended - begun),
        codes=ledger.codes,
        vague=len(ledger.vague),
        cut=ledger.cut,
        acked=len(ledger.acked),
        lost=sum(message not in stored for message in ledger.acked),
        doubled=sum(count > 1 for count in stored.values()),
        growth={name: growth(samples) for name, samples in memory.items()},
        peak={name: max(mib for _, mib in samples) for name, samples in memory.items()},
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Messages stored a second, and CPU ms each."""

    rate: float
    cost: float


async def _capacity(stack: Stack, crowd: list[Chatter], seconds: float) -> Measured:
    """What is stored while each socket always has some messages under way."""
    ledger = Ledger()
    for chatter in crowd:
        chatter.change_ledger(ledger)
    begun = time.monotonic()
    end = begun + WARM_UP + seconds
    loops = [asyncio.create_task(chatter.closed_loop(end)) for chatter in crowd for _ in range(WINDOW)]
    await pause(WARM_UP, "the load warms up")
    cpu = cpu_seconds(stack)
    await asyncio.gather(*loops)
    stored = ledger.stored_between(begun + WARM_UP, time.monotonic())
    spent = cpu_seconds(stack) - cpu
    return Measured(stored / (time.monotonic() - begun - WARM_UP), 1_000 * spent / max(1, stored))


async def _read_back(device: Device, session: str, ledger: Ledger) -> Counter[str]:
    """The user's messages of one session as any reader sees them, once all that was acked had its time."""
    expected = ledger.acked_in[session]
    stored: Counter[str] = Counter()

    async def complete() -> bool:
        nonlocal stored
        history = await device.history({"id": session})
        stored = Counter(message["id"] for message in history if message["sender_type"] == "user")
        return expected <= stored.keys() or time.monotonic() > ledger.last_ack + 2 * PATIENCE

    await until(complete, 3 * PATIENCE, every=0.5)
    return stored
