"""Measures the latency of acks while many replies stream: `python -m benchmarks streams`.

A number of users always have a reply of a language model under way, through one chatbot worker (`servers/tokens.py`
behind the kind `openai`: real HTTP and real pieces, without the CPU of a model). Other users send messages by the clock
to a chatbot whose replies are complete at once. Their acks are measured without and then with the streams.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, cast

import uvloop

from benchmarks.generator.connection import Connection, Refused
from benchmarks.generator.latency import summary
from benchmarks.processes import Parts, Usage
from benchmarks.systems.backchat import Backchat, Distributed, Embedded
from benchmarks.systems.stores import Stores
from benchmarks.systems.system import System
from tests.support.ports import free_port

TARGET = 50.0  # ms, p99 of an ack under 200 streams
WORDS, PACE = 100, 10.0  # words of a reply, and words a second: faster than people read
PROBES, RATE = 10, 50.0  # who measure, and their messages a second
AT_ONCE = 16  # set-ups under way
CHATBOTS = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
default = true
options = {{ delay = 0 }}

[[chatbots]]
id = "model"
name = "Model"
kind = "openai"
concurrency = {streams}
options = {{ base_url = "http://127.0.0.1:{port}/v1", model = "tokens" }}
"""


class Reader(Connection):
    """A user that sends a message after each reply, and checks every delta."""

    def __init__(self) -> None:
        super().__init__()
        self.session_id = ""
        self.reading = False  # a reply is under way
        self.asking = True
        self.replies = self.pieces = self.faults = self.unanswered = 0
        self._asking: asyncio.Task[None] | None = None
        self._text = 0  # characters of the reply so far
        self._attempt = 0

    def ask(self) -> None:
        """Send the next message. Its ack is not measured; a refused message is sent again."""
        self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        while True:
            try:
                await self.call("send_message", {"session_id": self.session_id, "content": "Go on."})
                return
            except Refused:
                if self.lost_connection:
                    return
                await asyncio.sleep(1.0)
            except TimeoutError:
                self.unanswered += 1

    def _take_event(self, name: str, payload: dict[str, Any]) -> None:
        if name == "message_delta":
            self._take_piece(payload)
        elif name == "message" and payload["sender_type"] == "chatbot":
            self.faults += payload["content"] != "word " * WORDS
            self.replies += 1
            self.reading = False
            self._text = self._attempt = 0
            if self.asking:
                self.ask()

    def _take_piece(self, piece: dict[str, Any]) -> None:
        self.reading = True
        self.pieces += 1
        if piece["attempt"] > self._attempt:
            self._attempt, self._text = piece["attempt"], 0
        if piece["snapshot"]:
            self._text = len(piece["text"])
        elif piece["offset"] == self._text:
            self._text += len(piece["text"])
        else:
            self.faults += 1


@dataclass(frozen=True, slots=True)
class Figures:
    """The measurements of one window."""

    acks: dict[str, float]  # ms
    streams: float  # under way, on average
    pieces: float  # a second, over all sockets
    faults: int  # pieces and replies that were not as they should be
    refused: int  # messages
    unanswered: int  # messages without an ack for 30 s
    cpu: dict[str, float]  # cores, by part
    strangers: float  # cores that others used

    def __str__(self) -> str:
        acks = ", ".join(f"{name} {value:g}" for name, value in self.acks.items())
        cpu = ", ".join(f"{part} {cores:.2f}" for part, cores in self.cpu.items())
        return (
            f"{self.streams:.0f} streams, {self.pieces:.0f} pieces/s: ack ms {acks}; {self.faults} faults, "
            f"{self.refused} refused, {self.unanswered} unanswered; cores {cpu}, strangers {self.strangers:.2f}"
        )


async def drive(
    system: Backchat, processes: Parts, streams: int, pace: float, seconds: float
) -> tuple[Figures, Figures]:
    """Return the figures without and with streams."""
    tokens = system.tokens(streams + PROBES)
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, chatbot: str) -> Reader:
        async with limit:
            reader = cast("Reader", await Reader.open(system.urls[0], {"token": tokens[number]}))
            answer = await reader.call("start_chat", {"chatbot_ids": [chatbot]})
            reader.session_id = answer["session"]["id"]
            return reader

    probes = await asyncio.gather(*(one(number, "echo") for number in range(PROBES)))
    for probe in probes:
        probe.asking = False
    readers = await asyncio.gather(*(one(PROBES + number, "model") for number in range(streams)))
    sample = partial(processes.sample, system.parts | Tokens.parts)
    idle = await window(probes, [], seconds, sample)
    for reader in readers:
        reader.ask()
        await asyncio.sleep(WORDS / pace / streams)  # so that they do not all begin and end together
    await until(lambda: sum(reader.reading for reader in readers) >= streams * 0.9)
    busy = await window(probes, readers, seconds, sample)
    for reader in (*readers, *probes):
        reader.close()
    return idle, busy


async def window(
    probes: Sequence[Reader], readers: Sequence[Reader], seconds: float, sample: Callable[[], Usage]
) -> Figures:
    """Send messages by the clock for `seconds`, and return the figures."""
    began, pieces = monotonic(), sum(reader.pieces for reader in readers)
    before = sample()
    latencies: list[float] = []
    under_way: list[int] = []
    refused = 0

    async def send(number: int, due: float) -> None:
        nonlocal refused
        probe = probes[number % len(probes)]
        try:
            await probe.call("send_message", {"session_id": probe.session_id, "content": f"message {number}"})
        except Refused:
            refused += 1
        except TimeoutError:
            probe.unanswered += 1
        latencies.append(monotonic() - due)

    sends = []
    for number in range(int(seconds * RATE)):
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - monotonic()))
        sends.append(asyncio.create_task(send(number, due)))
        under_way.append(sum(reader.reading for reader in readers))
    await asyncio.gather(*sends)
    took = monotonic() - began
    used = sample().since(before)
    ours = sum(used.cpu_seconds.values()) + used.own_seconds
    return Figures(
        acks=summary(latencies),
        streams=sum(under_way) / len(under_way),
        pieces=(sum(reader.pieces for reader in readers) - pieces) / took,
        faults=sum(reader.faults for reader in readers),
        refused=refused,
        unanswered=sum(reader.unanswered for reader in (*readers, *probes)),
        cpu={part: seconds / took for part, seconds in used.cpu_seconds.items()},
        strangers=(used.machine_seconds - ours) / took,
    )


async def until(condition: Callable[[], bool], timeout: float = 60.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - counted by callbacks
            await asyncio.sleep(0.02)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return 1 if the target was missed or a delta was wrong."""
    parser = argparse.ArgumentParser("python -m benchmarks streams")
    parser.add_argument("--systems", default="embedded,distributed")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--pace", type=float, default=PACE, help="pieces a second of each stream (10)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each window (10)")
    flags = parser.parse_args(arguments)
    missed = False
    for name in flags.systems.split(","):
        idle, busy = measure(name, flags.streams, flags.pace, flags.seconds)
        print(f"{name}: {idle}\n{name}: {busy}")
        missed |= busy.acks["p99"] > TARGET or busy.faults + busy.unanswered > 0 or busy.streams < flags.streams * 0.9
    return int(missed)


def measure(name: str, streams: int, pace: float, seconds: float) -> tuple[Figures, Figures]:
    """Start a system and a language model, and return the figures without and with streams."""
    processes = Parts()
    with ExitStack() as stack:
        stores = Stores(processes)
        stack.callback(stores.stop)
        tokens = Tokens(processes, pace)
        stack.callback(tokens.stop)
        tokens.start()
        system = Embedded(processes, {}) if name == "embedded" else Distributed(processes, {}, stores, gateways=1)
        system.chatbots = CHATBOTS.format(port=tokens.port, streams=streams)
        stack.callback(system.stop)
        system.start()
        return uvloop.run(drive(system, processes, streams, pace, seconds))


class Tokens(System):
    """The server of the language model."""

    name = "tokens"
    parts = frozenset({name})

    def __init__(self, processes: Parts, pace: float) -> None:
        super().__init__(processes)
        self.port = free_port()
        self._interval = 1 / pace

    def start(self) -> None:
        """Start the server and wait until it listens."""
        self._serve(
            self.name, "benchmarks.servers.tokens", str(self.port), str(WORDS), str(self._interval), ready=self._listens
        )

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
