"""The frame fuzzer: hostile sockets, authenticated and not, against a real embedded system.

`python -m tests.integration.security.fuzz --frames 100000 --seed 1` runs it for long; the suite runs it briefly. It
fails if the process ends or logs an exception, if an unauthenticated client gets an answer, if text of another user
is revealed, if sockets are left open, or if memory grows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import websockets

from tests.integration.security.frames import Frames
from tests.support.client import Account, Device, new_account
from tests.support.stack import EmbeddedStack, Stack
from tests.support.waiting import pause, until

ATTACKERS = 4  # of each kind, at the same time
FRAMES_A_CONNECTION = 300
PAUSE = 0.002  # seconds between two frames of one attacker, because frames after a close do not count
CONNECTION_WITHIN = 60.0  # seconds; one that is neither served nor closed until then is given up
CANARY = "the canary sings at midnight"
TO_ANYBODY = re.compile(r"0\{|2$|3|6$|44")  # unauthenticated: open, ping, pong, noop, refusal
TROUBLE = re.compile(r"Traceback|exception|\[error|\[critical|task died", re.IGNORECASE)
WARM_UP = 0.4  # of the frames, before memory is looked at
MIB = 1024 * 1024


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    seed: int
    frames: int = 0
    connections: int = 0
    heard: Counter[str] = field(default_factory=Counter)  # kinds of answers
    fail_open: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    left: float = 0.0  # connections that were still there at the end
    memory: list[float] = field(default_factory=list)  # MiB, in equal steps
    took: float = 0.0  # seconds

    def failures(self) -> list[str]:
        """What must not be."""
        found = [f"fail-open: {text[:200]}" for text in self.fail_open] + [f"leak: {text[:200]}" for text in self.leaks]
        found += [f"log: {line[:300]}" for line in self.trouble]
        return [*found, f"{self.left:g} connections left behind"] if self.left else found

    def __str__(self) -> str:
        rss = " ".join(f"{size:.0f}" for size in self.memory)
        return (
            f"seed {self.seed}: {self.frames} frames on {self.connections} connections in {self.took:.0f} s; "
            f"{len(self.trouble)} crashes, {len(self.fail_open)} fail-open, {len(self.leaks)} leaks, "
            f"{self.left:g} sockets left; answers {dict(self.heard.most_common())}; memory in MiB: {rss}"
        )


class Fuzz:
    """One run."""

    def __init__(self, stack: Stack, frames: int, seed: int) -> None:
        self._stack = stack
        self._left = frames
        self._step = max(1, frames // 10)
        self.outcome = Outcome(seed)

    async def run(self) -> Outcome:
        """Attack until all frames are sent, then look what is left."""
        begun = time.monotonic()
        eve, victim = await new_account(self._stack.auth_url), await new_account(self._stack.auth_url)
        async with Device(self._stack.gateway_urls[0], victim.token) as device:
            session = await device.start_chat("echo", title=CANARY)
            await device.reply_to(await device.send(session, CANARY))
            async with asyncio.TaskGroup() as attackers:
                for number in range(2 * ATTACKERS):
                    token = eve.token if number % 2 else None
                    attackers.create_task(self._attack(self.outcome.seed * 1_000 + number, token, session["id"]))
            assert (await device.call("list_chats", {}))["ok"], "the others are not served any more"
            if any(account in str(device.events) for account in (eve.id,)):
                self.outcome.leaks.append("a stranger reached the victim's socket")
        await self._look_what_is_left(eve)
        self.outcome.took = time.monotonic() - begun
        return self.outcome

    async def _attack(self, seed: int, token: str | None, foreign: str) -> None:
        given: dict[str, Any] = {"session_id": foreign}
        frames = Frames(seed, given)
        while self._left > 0:
            with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
                async with asyncio.timeout(CONNECTION_WITHIN):
                    await self._connection(frames, token, given)
            self._memory()  # that is, it still runs: else there would be no end

    async def _connection(self, frames: Frames, token: str | None, given: dict[str, Any]) -> None:
        address = self._stack.gateway_urls[0].replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with websockets.connect(address, compression=None, max_size=None, ping_interval=None) as ws:
            self.outcome.connections += 1
            if token is not None:
                await ws.send("40" + json.dumps({"token": token}))
            listening = asyncio.create_task(self._listen(ws, known=token is not None, given=given))
            try:
                for _ in range(FRAMES_A_CONNECTION):
                    if self._left <= 0 or listening.done():
                        return
                    await ws.send(frames.next())
                    self._sent()
                    await pause(PAUSE, "the rate of the load")
            finally:
                await pause(0.05, "late answers are read as well")
                listening.cancel()

    async def _listen(self, ws: websockets.ClientConnection, *, known: bool, given: dict[str, Any]) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for frame in ws:
                text = frame if isinstance(frame, str) else frame.decode(errors="replace")
                self.outcome.heard[text[:2] if text[:1] == "4" else text[:1]] += 1
                if not known and TO_ANYBODY.match(text) is None:
                    self.outcome.fail_open.append(text)
                if CANARY in text:
                    self.outcome.leaks.append(text)
                if '"session":{"id":"' in text and known:  # a session of the attacker, for later frames
                    given["session_id"] = text.partition('"session":{"id":"')[2][:36]

    def _sent(self) -> None:
        self._left -= 1
        self.outcome.frames += 1
        if self.outcome.frames % self._step == 0:
            self.outcome.memory.append(self._memory())

    def _memory(self) -> float:
        child = self._stack.parts[self._stack.names[0]].child
        assert child
        assert child.running, f"the process died\n{child.tail()}"
        return float(psutil.Process(child.pid).memory_info().rss) / MIB

    async def _look_what_is_left(self, eve: Account) -> None:
        async with httpx2.AsyncClient() as http:

            async def all_closed() -> bool:
                text = (await http.get(self._stack.gateway_urls[0] + "/metrics")).text
                found = re.search(r"^backchat_gateway_connections (\S+)$", text, re.MULTILINE)
                assert found
                self.outcome.left = float(found[1])
                return not self.outcome.left

            await until(all_closed, 60, every=0.2)
        log = self._stack.log()
        self.outcome.trouble = [line for line in log.splitlines() if TROUBLE.search(line)]
        if CANARY in log or eve.token in log:
            self.outcome.leaks.append("in the log")


def main() -> int:
    """Run it long; the exit code says whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        stack = EmbeddedStack(Path(directory), {"LIMITS": "off", "LOG_LEVEL": "info"})
        try:
            stack.start_now()
            outcome = asyncio.run(Fuzz(stack, options.frames, options.seed).run())
            stack.stop_now()
        finally:
            stack.close()
    print(outcome)  # noqa: T201
    for failure in outcome.failures():
        print(failure)  # noqa: T201
    return 1 if outcome.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
