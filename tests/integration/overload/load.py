"""Load on a stack: a closed loop measures capacity, an open loop exceeds it; memory is sampled."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import psutil
import websockets

from tests.integration.overload.wire import Wire
from tests.support.stack import Stack
from tests.support.waiting import pause

MIB = 1024 * 1024
SAMPLE_EVERY = 0.25  # seconds
UNSENT_MAX = 256 * 1024  # bytes: then the server does not listen, and the generator counts what it could not send
WORDS = "some words that somebody might say to a chatbot, not too few of them " * 3


@dataclass(slots=True)
class Ledger:
    """Sent messages and their outcomes. Times are monotonic seconds."""

    sent: int = 0
    unsendable: int = 0  # the server did not even listen
    cut: int = 0  # sockets that the server cut
    codes: Counter[str] = field(default_factory=Counter)
    acked: dict[str, float] = field(default_factory=dict)  # message id -> when
    acked_in: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # session -> message ids
    last_ack: float = 0.0
    stored: dict[str, float] = field(default_factory=dict)
    vague: list[dict[str, Any]] = field(default_factory=list)  # refusals without a `retry_after`

    def heard(self, event: str, payload: Any) -> None:
        if event == "message" and payload["sender_type"] == "user":
            self.stored.setdefault(payload["id"], time.monotonic())

    def answered(self, session: str, ack: dict[str, Any]) -> None:
        if ack["ok"]:
            self.codes["ok"] += 1
            self.acked[ack["message_id"]] = self.last_ack = time.monotonic()
            self.acked_in[session].add(ack["message_id"])
            return
        self.codes[ack["error"]["code"]] += 1
        if not ack["error"].get("retry_after"):
            self.vague.append(ack)

    def stored_between(self, begin: float, end: float) -> int:
        return sum(begin <= moment < end for moment in self.stored.values())


@dataclass(slots=True)
class Chatter:
    """One socket with a separate session."""

    wire: Wire
    session: str
    ledger: Ledger

    def change_ledger(self, ledger: Ledger) -> None:
        """Write into this one from now on; late answers go into the one that was there when the message left."""
        self.ledger = ledger
        self.wire.on_event = ledger.heard

    async def send(self) -> None:
        await self.wire.emit("send_message", self._payload(), partial(self.ledger.answered, self.session))
        self.ledger.sent += 1

    async def closed_loop(self, until: float) -> None:
        """Send one message after another; after a refusal wait for `retry_after`."""
        while time.monotonic() < until:
            self.ledger.sent += 1
            ack = await self.wire.call("send_message", self._payload())
            self.ledger.answered(self.session, ack)
            if not ack["ok"]:
                await pause(ack["error"]["retry_after"], "the client obeys `retry_after`")

    def _payload(self) -> dict[str, str]:
        return {"session_id": self.session, "content": WORDS, "client_message_id": uuid4().hex}

    async def open_loop(self, rate: float, until: float) -> None:
        begun, count = time.monotonic(), 0
        while (now := time.monotonic()) < until:
            due = int((now - begun) * rate)
            while count < due:
                count += 1
                if self.wire.unsent > UNSENT_MAX:
                    self.ledger.unsendable += 1
                    continue
                try:
                    await self.send()
                except websockets.ConnectionClosed:
                    self.ledger.cut += 1
                    return
            await pause(0.02, "the tick of the load")


async def chatters(stack: Stack, tokens: list[str], count: int, ledger: Ledger) -> list[Chatter]:
    """Sockets on all gateways by turns, each in a session with `echo`."""
    found = []
    for number in range(count):
        url = stack.gateway_urls[number % len(stack.gateway_urls)]
        wire = await Wire.open(url, tokens[number % len(tokens)], on_event=ledger.heard)
        started = await wire.call("start_chat", {"title": "load", "chatbot_ids": ["echo"]})
        assert started["ok"], started
        found.append(Chatter(wire, started["session"]["id"], ledger))
    return found


@asynccontextmanager
async def memory_watched(stack: Stack) -> AsyncIterator[Mapping[str, list[tuple[float, float]]]]:
    """The resident memory of every process while the block runs: (seconds since its beginning, MiB)."""
    processes = {name: psutil.Process(part.child.pid) for name, part in stack.parts.items() if part.child}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    begun = time.monotonic()

    async def watch() -> None:
        while True:
            for name, process in processes.items():
                samples[name].append((time.monotonic() - begun, process.memory_info().rss / MIB))
            await pause(SAMPLE_EVERY, "the sampling interval")

    watching = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def cpu_seconds(stack: Stack) -> float:
    """What all processes of the stack have used so far."""
    used = [psutil.Process(part.child.pid).cpu_times() for part in stack.parts.values() if part.child]
    return sum(times.user + times.system for times in used)


def growth(samples: list[tuple[float, float]]) -> float:
    """Return the growth in MiB per second over the second half, by least squares."""
    late = samples[len(samples) // 2 :]
    mean_t = sum(t for t, _ in late) / len(late)
    mean_m = sum(m for _, m in late) / len(late)
    spread = sum((t - mean_t) ** 2 for t, _ in late)
    return sum((t - mean_t) * (m - mean_m) for t, m in late) / spread if spread else 0.0
