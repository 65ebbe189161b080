"""Chatbots for tests: one that does what a test says, and the ways in which a chatbot may behave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from chatbot_worker.chatbots.protocol import Turn
from tests.support.waiting import pause

SCRIPTED = """
[[chatbots]]
id = "bot"
name = "Bot"
kind = "scripted"
"""


ECHO = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
delta_interval = 0
"""
PIECEWISE = ECHO + "options = {delay = 0}\n"
INSTANT = PIECEWISE.replace("delta_interval = 0\n", "")


class Scripted:
    """A chatbot that does what a test says; one reply function for each start, the last for all further ones."""

    def __init__(self) -> None:
        self.plays: list[Callable[[Turn], AsyncIterator[str]]] = []
        self.started = 0
        self.closed = 0
        self.life: list[str] = []
        self.streams: list[AsyncIterator[str]] = []  # held, so that nothing but `aclose` closes them

    async def open(self) -> None:
        self.life.append("open")

    async def close(self) -> None:
        self.life.append("close")

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        play = self.plays[min(self.started, len(self.plays) - 1)]
        self.started += 1
        self.streams.append(self._watched(play(turn)))
        return self.streams[-1]

    async def _watched(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        try:
            async for piece in pieces:
                yield piece
        finally:
            self.closed += 1


class Counting:
    """A reply function that counts how many of its replies run at the same time."""

    def __init__(self) -> None:
        self.most = 0
        self._running = 0

    async def __call__(self, _turn: Turn) -> AsyncIterator[str]:
        self._running += 1
        self.most = max(self.most, self._running)
        await pause(0.01, "a reply takes time")
        self._running -= 1
        yield "done"


async def hello(_turn: Turn) -> AsyncIterator[str]:
    yield "hello"


async def hang(_turn: Turn) -> AsyncIterator[str]:
    yield "so far"
    await asyncio.Event().wait()


async def never(_turn: Turn) -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield ""


async def breaks(_turn: Turn) -> AsyncIterator[str]:
    yield "so f"
    raise RuntimeError("the words of a person")


async def raises_cancelled(_turn: Turn) -> AsyncIterator[str]:
    yield "so f"
    raise asyncio.CancelledError


async def flood(_turn: Turn) -> AsyncIterator[str]:
    while True:
        yield "x" * 999


async def nothing(_turn: Turn) -> AsyncIterator[str]:
    return
    yield ""
