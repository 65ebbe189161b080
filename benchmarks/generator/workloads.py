"""The two loads: closed loop (a lane sends after its turn has ended) and open loop (turns are sent by the clock)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from benchmarks.generator.connection import Connection
from benchmarks.generator.job import Phase
from benchmarks.generator.lane import Lane, Turn
from benchmarks.generator.latency import summary
from benchmarks.generator.pacing import Pacer

STREAMED_CONTENT = "Every word of this message leaves as one delta back."  # 10 words
CONTENT = "The quick brown fox jumps over the lazy dog, and nobody in the whole house has seen it but me. "  # 95 bytes
DRAIN = 20.0  # seconds to wait for turns in flight when a window ends; later ones count as lost

Pair = tuple[Connection, Lane]
Mark = Callable[[str], None]


@dataclass(slots=True)
class Window:
    """The turns of a measured window, as times from the intended send time."""

    begin: float
    end: float
    ack: list[float] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    reply: list[float] = field(default_factory=list)
    turns: int = 0

    def add(self, turn: Turn, at: float) -> None:
        """Count a turn if the time `at` is inside the window."""
        if not turn.acked or not self.begin <= at < self.end:
            return
        self.turns += 1
        self.ack.append(turn.acked - turn.due)
        self.reply.append(turn.replied - turn.due)
        if turn.stored:
            self.stored.append(turn.stored - turn.due)

    def result(self) -> dict[str, Any]:
        """Return counts and percentiles, as JSON."""
        return {
            "turns": self.turns,
            "seconds": round(self.end - self.begin, 3),
            "turns_per_second": round(self.turns / (self.end - self.begin), 1),
            "ack_ms": summary(self.ack),
            "stored_ms": summary(self.stored),
            "reply_ms": summary(self.reply),
        }


def content_of(phase: Phase) -> str:
    """Return the message that each turn of the phase sends."""
    return STREAMED_CONTENT if phase.streamed else CONTENT


async def closed(pairs: Sequence[Pair], phase: Phase, mark: Mark) -> dict[str, Any]:
    """Keep one turn in flight in every lane. Turns that end within the window are counted."""
    window = Window(monotonic() + phase.warm, monotonic() + phase.warm + phase.seconds)
    content = content_of(phase)

    def on_turn(connection: Connection, lane: Lane, turn: Turn) -> None:
        ended = turn.ended or monotonic()
        window.add(turn, ended)
        if ended < window.end:
            connection.send_turn(lane, ended, content)

    for connection, lane in pairs:
        connection.on_turn = on_turn
        connection.send_turn(lane, monotonic(), content)
    await asyncio.sleep(window.begin - monotonic())
    mark("begin")
    await asyncio.sleep(window.end - monotonic())
    mark("end")
    await drained(pairs)
    return window.result()


async def opened(pairs: Sequence[Pair], phase: Phase, mark: Mark) -> dict[str, Any]:
    """Send turns by the clock, at the phase's rate. Turns that were due within the window are counted.

    A turn that finds no free lane waits for one; its latency still counts from when it was due.
    """
    content = content_of(phase)
    free = deque(pairs)
    waiting: deque[float] = deque()
    loop = asyncio.get_running_loop()

    def send(due: float) -> None:
        connection, lane = free.popleft()
        connection.send_turn(lane, due, content)

    def on_turn(connection: Connection, lane: Lane, turn: Turn) -> None:
        window.add(turn, turn.due)
        free.append((connection, lane))
        if waiting:
            send(waiting.popleft())

    def tick() -> None:
        for due in pacer.due():
            if due >= window.end:
                loop.remove_reader(pacer)
                return
            if free:
                send(due)
            else:
                waiting.append(due)

    for connection, _lane in pairs:
        connection.on_turn = on_turn
    with Pacer(phase.rate) as pacer:
        window = Window(pacer.start + phase.warm, pacer.start + phase.warm + phase.seconds)
        loop.add_reader(pacer, tick)
        await asyncio.sleep(window.begin - monotonic())
        mark("begin")
        await asyncio.sleep(window.end - monotonic())
        mark("end")
        await drained(pairs)
        loop.remove_reader(pacer)
    return window.result() | {"rate": phase.rate, "unsent": len(waiting)}


async def drained(pairs: Sequence[Pair]) -> None:
    """Wait until no turn is in flight. Turns without an answer count as lost."""
    deadline = monotonic() + DRAIN
    while monotonic() < deadline and any(lane.turn for _connection, lane in pairs):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    for _connection, lane in pairs:
        lane.give_up()
