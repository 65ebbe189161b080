"""Starts again whatever has ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from http import HTTPStatus

from tests.chaos.stack import BreakableStack
from tests.support.stack import status

POLL = 0.1  # seconds between two looks
STOP_PATIENCE = 10.0  # seconds (contract P8)


class Supervisor:
    """Starts every process again as soon as it has ended, as systemd or an orchestrator would."""

    def __init__(self, stack: BreakableStack) -> None:
        self._stack = stack
        self._expected: set[int] = set()  # pids of processes that a fault ends
        self.restarts = 0
        self.crashes: list[str] = []  # processes that ended by themselves
        self.slow_stops: list[str] = []  # SIGTERM that did not end with exit code 0 in time

    def kill(self, name: str) -> None:
        """Crash one."""
        child = self._stack.parts[name].child
        assert child
        self._expected.add(child.pid)
        child.kill()

    def terminate(self, name: str) -> None:
        """Ask one to stop, and see that it does (contract P8); one that is just starting may finish that first."""
        part = self._stack.parts[name]
        deadline = time.monotonic() + STOP_PATIENCE
        while status(f"{part.url}/healthz") != HTTPStatus.OK and time.monotonic() < deadline:
            time.sleep(POLL)
        child = part.child
        assert child
        self._expected.add(child.pid)
        began = time.monotonic()
        code = child.stop(signal.SIGTERM, timeout=STOP_PATIENCE)
        if code:
            self.slow_stops.append(f"{name}: exit code {code} {time.monotonic() - began:.1f} s after SIGTERM")

    async def watch(self) -> None:
        """Restart, until cancelled."""
        while True:
            for name, part in self._stack.parts.items():
                if part.child is None or part.child.running:
                    continue
                if part.child.pid not in self._expected:
                    self.crashes.append(f"{name}: exit code {part.child.ended(timeout=1)}\n{part.child.tail(15)}")
                self.restarts += 1
                settings, module, port = part.settings, part.module, part.port
                part.child = self._stack.spawn(name, module, "serve", settings=settings, port=port)
            await asyncio.sleep(POLL)

    async def all_ready(self, patience: float) -> bool:
        """Whether every process gets ready within `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for part in self._stack.parts.values():
                    while not await asyncio.to_thread(part.ready):  # noqa: ASYNC110 - other processes
                        await asyncio.sleep(POLL)
                return True
        return False
