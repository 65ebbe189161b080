"""The composed stack for tests that break it: kills, stops and starts containers, and reads keys and logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2

from tests.support.client import PATIENCE
from tests.support.compose import ComposedStack
from tests.support.stack import START_TIMEOUT, STOP_DEADLINE
from tests.support.waiting import wait_until

SERVICES = ("auth_service", "persistence_worker", "chatbot_worker", "chat_gateway")
REQUESTS = 8  # that reach both gateways with high probability, since the edge chooses at random
KEYS = "/keys"


class OwnComposedStack(ComposedStack):
    """A name is a service, for all its containers, or `chat_gateway-1` for a single one.

    The edge chooses the gateway of each client, so tests do not know it.
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
        """Return the output of the containers of one service, or of all services."""
        return self.composition.compose("logs", "--no-color", "--no-log-prefix", *([name] if name else []))

    async def kill9(self, name: str) -> None:
        """Kill all containers with that name."""
        await asyncio.to_thread(self.composition.docker, "kill", *self._containers(name, "running"))

    def start_now(self) -> None:
        """Start stopped containers; returns when all are ready and the edge reaches them."""
        for name in self.names:  # in the original order, so that each gets its previous address
            for container in self._containers(name, "exited"):
                self.composition.docker("start", container)

        def ready() -> bool:
            for name in self.names:
                for container in self._containers(name):
                    assert self._ready(container), f"{name} is not ready\n{self.log(name)[-3000:]}"
            assert self._reached(), f"the edge does not reach the services\n{self.log('edge')[-3000:]}"
            return True

        wait_until(ready, START_TIMEOUT, every=0.1)

    def _stop_parts(self, names: list[str]) -> None:
        containers = [container for name in names for container in self._containers(name, "running")]
        if not containers:
            return
        self.composition.docker("stop", "--time", f"{STOP_DEADLINE:.0f}", *containers)
        codes = self.composition.docker("inspect", "--format", "{{.State.ExitCode}} {{.Name}}", *containers)
        wrong = [line for line in codes.splitlines() if not line.startswith("0 ")]
        assert not wrong, f"exit codes after SIGTERM (137: it took more than {STOP_DEADLINE:g} s): {wrong}"

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
        """Whether the edge uses the current addresses, which it resolves every one or two seconds.

        Only a gateway answers 400 to an unknown transport.
        """
        with httpx2.Client(base_url=self.auth_url, timeout=PATIENCE) as http:
            try:
                keys = http.get("/.well-known/jwks.json").status_code
                asked = [
                    http.get("/socket.io/?transport=none", headers={"Connection": "Upgrade"}) for _ in range(REQUESTS)
                ]
            except httpx2.TransportError:
                return False
        return keys == 200 and {answer.status_code for answer in asked} == {400}
