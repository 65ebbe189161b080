"""The composed stack as if it were a test's own: containers are killed, stopped and started, keys and logs are read."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx2

from tests.support.client import PATIENCE
from tests.support.compose import ComposedStack
from tests.support.stack import START_TIMEOUT, STOP_DEADLINE

SERVICES = ("auth_service", "persistence_worker", "chatbot_worker", "chat_gateway")
POLL = 0.1  # seconds
LOOKS = 8  # until both gateways have been asked, since the edge chooses by chance
KEYS = "/keys"


class OwnComposedStack(ComposedStack):
    """A name is that of a service, for all its containers, or `chat_gateway-1` for one of them.

    Which gateway a client has got is the edge's choice, and cannot be seen.
    """

    @property
    def names(self) -> list[str]:
        return list(SERVICES)

    @property
    def keys(self) -> Path:
        """A copy of the directory of the signing keys."""
        copy = self.directory / "keys"
        if not copy.exists():
            [auth] = self._containers("auth_service")
            self.composition.docker("cp", f"{auth}:{KEYS}", str(copy))
        return copy

    def log(self, name: str = "") -> str:
        """All that the containers of one service, or of every one and of RabbitMQ, PostgreSQL and the edge, have written."""
        return self.composition.compose("logs", "--no-color", "--no-log-prefix", *([name] if name else []))

    async def kill9(self, name: str) -> None:
        """Crash what has that name."""
        await asyncio.to_thread(self.composition.docker, "kill", *self._containers(name, "running"))

    def start_now(self) -> None:
        """Start whatever does not run; returns when every container is ready and the edge has found it."""
        for name in self.names:  # in their order, so that each gets the address that it had
            for container in self._containers(name, "exited"):
                self.composition.docker("start", container)
        deadline = time.monotonic() + START_TIMEOUT
        for name in self.names:
            for container in self._containers(name):
                while not self._ready(container):
                    assert time.monotonic() < deadline, f"{name} does not get ready\n{self.log(name)[-3000:]}"
                    time.sleep(POLL)
        while not self._reached():
            assert time.monotonic() < deadline, f"the edge does not find them\n{self.log('edge')[-3000:]}"
            time.sleep(POLL)

    def _stop_parts(self, names: list[str]) -> None:
        containers = [container for name in names for container in self._containers(name, "running")]
        if not containers:
            return
        self.composition.docker("stop", "--time", f"{STOP_DEADLINE:.0f}", *containers)
        told = self.composition.docker("inspect", "--format", "{{.State.ExitCode}} {{.Name}}", *containers)
        wrong = [line for line in told.splitlines() if not line.startswith("0 ")]
        assert not wrong, f"exit codes after SIGTERM (137: it took over {STOP_DEADLINE:g} s): {wrong}"

    def _containers(self, name: str, state: str = "") -> list[str]:
        service, _, number = name.partition("-")
        return self.composition.containers(service, number=number, state=state)

    def _ready(self, container: str) -> bool:
        try:
            self.composition.docker("exec", container, "healthy", "/readyz")
        except RuntimeError:
            return False
        return True

    def _reached(self) -> bool:
        """Whether the edge knows where they are now: it asks for their addresses every second or two.

        A gateway answers 400 to what is no transport, and nobody else does.
        """
        with httpx2.Client(base_url=self.auth_url, timeout=PATIENCE) as http:
            try:
                keys = http.get("/.well-known/jwks.json").status_code
                asked = [
                    http.get("/socket.io/?transport=none", headers={"Connection": "Upgrade"}) for _ in range(LOOKS)
                ]
            except httpx2.TransportError:
                return False
        return keys == 200 and {answer.status_code for answer in asked} == {400}
