"""Faults of containers: inject them into a running composed stack by commands of the Docker engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from tests.chaos.faults import Fault
from tests.chaos.injection import InjectedFault
from tests.support.compose import Composition
from tests.support.waiting import pause, until

SERVICES = {  # part of a fault: Compose service
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
    """A composed stack that the operator has started, behind the address of its edge."""

    def __init__(self, composition: Composition, url: str) -> None:
        self.composition = composition
        self.auth_url = url
        self.gateways = [("edge", url)]

    async def open(self) -> None:
        """Do nothing: the stack is running."""

    async def shut(self) -> None:
        """Do nothing: the stack stays up."""


class ContainerSupervisor:
    """Checks that every container is healthy at the end, and counts restarts that no fault has caused as crashes."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._expected: set[str] = set()  # containers that a fault has ended
        self.restarts = 0
        self.crashes: list[str] = []
        self.slow_stops: list[str] = []

    def expect_end(self, container: str) -> None:
        """Note that a fault ends and restarts a container."""
        self._expected.add(container)
        self.restarts += 1

    async def watch(self) -> None:
        """Do nothing until cancelled: the engine restarts containers. Its restarts are counted at the end."""
        await asyncio.Event().wait()

    async def all_ready(self, within: float) -> bool:
        """Wait until every service is healthy; returns whether they were `within` that many seconds."""
        try:
            await until(lambda: asyncio.to_thread(self._healthy), within, every=ALL_READY_POLL)
        except AssertionError:
            return False
        await asyncio.to_thread(self._count_crashes)
        return True

    def _healthy(self) -> bool:
        return all(
            state["ExitCode"] == 0 if state["State"] == "exited" else state["Health"] in ("healthy", "")
            for state in self._composition.states()
        )

    def _count_crashes(self) -> None:
        for service in SERVICES.values():
            for container in self._composition.containers(service):
                count = self._composition.docker("inspect", "--format", "{{.RestartCount}}", container).strip()
                if count != "0":
                    self.crashes.append(f"{service} {container}: restarted {count} times by the engine")


class ContainerInjector:
    """Injects faults into containers."""

    def __init__(self, composition: Composition, supervisor: ContainerSupervisor) -> None:
        self._composition = composition
        self._supervisor = supervisor

    async def inject(self, fault: Fault) -> InjectedFault:
        """Inject one fault and repair it. A command of the engine takes about half a second."""
        kind = fault.kind
        containers = await asyncio.to_thread(self._composition.containers, SERVICES[kind.part])
        container = containers[fault.choice % len(containers)]
        begin, repair = self._action(kind.action, container)
        await asyncio.to_thread(begin)
        start = time.monotonic()
        await pause(fault.lasts, "the duration of the fault")
        await asyncio.to_thread(repair)
        return InjectedFault(
            kind=kind.name,
            action=kind.action,
            part=kind.part,
            target=SERVICES[kind.part] + (f" {containers.index(container) + 1}" if len(containers) > 1 else ""),
            start=start,
            repair=time.monotonic(),
        )

    def _action(self, action: str, container: str) -> tuple[Callable[[], object], Callable[[], object]]:
        docker = self._composition.docker
        if action == "kill":
            self._supervisor.expect_end(container)
            return partial(docker, "kill", container), partial(docker, "start", container)
        if action == "pause":
            return partial(docker, "pause", container), partial(docker, "unpause", container)
        if action == "restart":
            self._supervisor.expect_end(container)
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
            self._supervisor.slow_stops.append(f"{name}: exit code {code} after {time.monotonic() - began:.1f} s")

    def _connect(self, network: str, aliases: list[str], container: str) -> None:
        named = [word for alias in aliases for word in ("--alias", alias)]
        self._composition.docker("network", "connect", *named, network, container)


def _each(commands: list[Callable[[], object]]) -> None:
    for command in commands:
        command()
