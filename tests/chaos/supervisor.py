"""Restart processes that have ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from http import HTTPStatus

from tests.chaos.stack import BreakableStack
from tests.support.stack import status
from tests.support.waiting import pause, until, wait_until

POLL = 0.1  # seconds between two checks
STOP_PATIENCE = 10.0  # seconds (contract P8)


class Supervisor:
    """Restarts every process as soon as it has ended, as systemd or an orchestrator would."""

    def __init__(self, stack: BreakableStack) -> None:
        self._stack = stack
        self._expected: set[int] = set()  # pids of processes that a fault ended
        self.restarts = 0
        self.crashes: list[str] = []  # processes that ended without a fault
        self.slow_stops: list[str] = []  # processes that did not end with code 0 in time after SIGTERM

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        child = self._stack.parts[name].child
        assert child
        self._expected.add(child.pid)
        child.kill()

    def terminate(self, name: str) -> None:
        """Stop a process with SIGTERM and check its exit code (contract P8); a starting process may finish its start."""
        part = self._stack.parts[name]
        with contextlib.suppress(AssertionError):
            wait_until(lambda: status(f"{part.url}/healthz") == HTTPStatus.OK, STOP_PATIENCE, every=POLL)
        child = part.child
        assert child
        self._expected.add(child.pid)
        began = time.monotonic()
        code = child.stop(signal.SIGTERM, timeout=STOP_PATIENCE)
        if code:
            self.slow_stops.append(f"{name}: exit code {code} {time.monotonic() - began:.1f} s after SIGTERM")

    async def watch(self) -> None:
        """Restart processes until cancelled."""
        while True:
            for name, part in self._stack.parts.items():
                if part.child is None or part.child.running:
                    continue
                if part.child.pid not in self._expected:
                    self.crashes.append(f"{name}: exit code {part.child.ended(timeout=1)}\n{part.child.tail(15)}")
                self.restarts += 1
                settings, module, port = part.settings, part.module, part.port
                part.child = self._stack.spawn(name, module, "serve", settings=settings, port=port)
            await pause(POLL, "the interval of the supervisor")

    async def all_ready(self, within: float) -> bool:
        """Wait until every process is ready; returns whether they were `within` that many seconds."""

        def ready() -> bool:
            return all(part.ready() for part in self._stack.parts.values())

        try:
            return await until(lambda: asyncio.to_thread(ready), within, every=POLL)
        except AssertionError:
            return False
