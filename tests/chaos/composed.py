"""Faults of containers: the composed stack as an operator started it, broken with the engine's own commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from tests.chaos.faults import Fault
from tests.chaos.injection import Injected
from tests.support.compose import Composition

SERVICES = {  # what faults call a part, and its service
    "gateway": "chat_gateway",
    "persistence": "persistence_worker",
    "chatbot": "chatbot_worker",
    "auth": "auth_service",
    "broker": "rabbitmq",
    "database": "postgres",
    "edge": "edge",
}
ALL_READY_POLL = 0.5  # seconds
STOP_SECONDS = "10"  # contract P8


class ComposedStack:
    """The stack as a run sees it: one address, and nothing of ours around the processes."""

    def __init__(self, composition: Composition, url: str) -> None:
        self.composition = composition
        self.auth_url = url
        self.gateways = [("edge", url)]

    async def open(self) -> None:
        """It runs already."""

    async def shut(self) -> None:
        """It goes on."""


class ContainerKeeper:
    """Sees to it that every container is well in the end; what ends without being told to is a crash."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._expected: set[str] = set()  # containers that a fault has ended
        self.restarts = 0
        self.crashes: list[str] = []
        self.slow_stops: list[str] = []

    def told(self, container: str) -> None:
        """A fault ends this one, and starts it again."""
        self._expected.add(container)
        self.restarts += 1

    async def watch(self) -> None:
        """Nothing to do meanwhile: the engine is the supervisor. What it restarted is counted at the end."""
        await asyncio.Event().wait()

    async def all_ready(self, patience: float) -> bool:
        """Whether every service gets healthy within `patience` seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            states = await asyncio.to_thread(self._composition.states)
            if all(state["Health"] in ("healthy", "") or state["ExitCode"] == 0 for state in states) and all(
                state["State"] == "running" or state["ExitCode"] == 0 for state in states
            ):
                await asyncio.to_thread(self._count_crashes)
                return True
            await asyncio.sleep(ALL_READY_POLL)
        return False

    def _count_crashes(self) -> None:
        for service in SERVICES.values():
            for container in self._composition.containers(service):
                count = self._composition.docker("inspect", "--format", "{{.RestartCount}}", container).strip()
                if count != "0":
                    self.crashes.append(f"{service} {container}: restarted {count} times by the engine")


class ContainerInjector:
    """Does faults to containers."""

    def __init__(self, composition: Composition, keeper: ContainerKeeper) -> None:
        self._composition = composition
        self._keeper = keeper

    async def inject(self, fault: Fault) -> Injected:
        """Do one fault and repair it; the times are those of the engine's commands, half a second each."""
        kind = fault.kind
        containers = await asyncio.to_thread(self._composition.containers, SERVICES[kind.part])
        container = containers[fault.choice % len(containers)]
        harm, mend = self._deed(kind.action, container)
        await asyncio.to_thread(harm)
        start = time.monotonic()
        await asyncio.sleep(fault.lasts)
        await asyncio.to_thread(mend)
        return Injected(
            kind=kind.name,
            action=kind.action,
            part=kind.part,
            target=SERVICES[kind.part] + (f" {containers.index(container) + 1}" if len(containers) > 1 else ""),
            start=start,
            repair=time.monotonic(),
        )

    def _deed(self, action: str, container: str) -> tuple[Callable[[], object], Callable[[], object]]:
        docker = self._composition.docker
        if action == "kill":
            self._keeper.told(container)
            return partial(docker, "kill", container), partial(docker, "start", container)
        if action == "pause":
            return partial(docker, "pause", container), partial(docker, "unpause", container)
        if action == "restart":
            self._keeper.told(container)
            return partial(self._stop, container), partial(docker, "start", container)
        networks = self._composition.networks(container)
        return (
            partial(_each, [partial(docker, "network", "disconnect", name, container) for name in networks]),
            partial(_each, [partial(self._connect, name, aliases, container) for name, aliases in networks.items()]),
        )

    def _stop(self, container: str) -> None:
        began = time.monotonic()
        self._composition.docker("stop", "--time", STOP_SECONDS, container)
        code = self._composition.docker("inspect", "--format", "{{.State.ExitCode}}", container).strip()
        name = self._composition.docker("inspect", "--format", "{{.Name}}", container).strip()
        if code != "0" and "postgres" not in name and "rabbitmq" not in name:
            self._keeper.slow_stops.append(f"{name}: exit code {code} after {time.monotonic() - began:.1f} s")

    def _connect(self, network: str, aliases: list[str], container: str) -> None:
        named = [word for alias in aliases for word in ("--alias", alias)]
        self._composition.docker("network", "connect", *named, network, container)


def _each(acts: list[Callable[[], object]]) -> None:
    for act in acts:
        act()
