"""Inject the faults of a plan into a running stack, and log the start and repair of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from tests.chaos.duplication import Duplicator
from tests.chaos.faults import Fault
from tests.chaos.stack import BreakableStack
from tests.chaos.stores import Stores
from tests.chaos.supervisor import Supervisor
from tests.support.proxy import Proxy
from tests.support.waiting import pause

STORM_INTERVAL = 0.4  # seconds between two rounds of closing all consumer channels
LEADER_OF = "persistence.4.p.0"
CLOSE_CHANNELS = """
lists:foreach(fun(Channel) ->
  case catch rabbit_channel:info(Channel, [consumer_count]) of
    [{consumer_count, Count}] when Count > 0 -> rabbit_channel:do(Channel, {'basic.ack', 16#7FFFFFFFFFFF, false});
    _ -> ok
  end end, rabbit_channel:list()).
"""  # an ack of an unknown delivery tag: the broker closes the channel (406) and redelivers its messages


class InjectedFault(BaseModel):
    """One injected fault. Times are seconds of the system-wide monotonic clock."""

    kind: str
    action: str
    part: str
    target: str
    start: float
    repair: float


Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class FaultAction:
    """How to inject one fault: its target, the functions that begin and repair it, and the seconds in between."""

    target: str
    begin: Act
    repair: Act
    lasts: float  # seconds


class Injector:
    """Injects faults into a stack of processes."""

    def __init__(self, stack: BreakableStack, stores: Stores | None, supervisor: Supervisor) -> None:
        self._stack = stack
        self._given = stores
        self._supervisor = supervisor

    @property
    def _stores(self) -> Stores:
        assert self._given, "the embedded system has no servers"
        return self._given

    async def inject(self, fault: Fault) -> InjectedFault:
        """Inject one fault and repair it.

        The start is taken after the action, so that no request that was served before it counts as served after it.
        """
        kind = fault.kind
        action = await self._action(fault)
        await action.begin()
        start = time.monotonic()
        await pause(action.lasts, "the duration of the fault")
        times = await action.repair()
        instant = kind.action == "cut" or (kind.action == "kill" and kind.part in self._stack.processes)
        return InjectedFault(
            kind=kind.name,
            action=kind.action,
            part=kind.part,
            target=action.target if times is None else f"{action.target}, {times} times",
            start=start,
            repair=start if instant else time.monotonic(),
        )

    async def _action(self, fault: Fault) -> FaultAction:
        action, part, lasts = fault.kind.action, fault.kind.part, fault.lasts
        if names := self._stack.processes.get(part):
            return self._to_service(action, names[fault.choice % len(names)], lasts)
        if part.endswith(" node"):
            return await self._to_node(action, part, fault)
        if part == "consumers":
            return FaultAction("broker", _nothing, partial(self._storm, lasts), 0)
        if part == "deliveries":
            duplicator = Duplicator([node.url for node in self._stores.nodes])
            return FaultAction("broker", _nothing, partial(duplicator.run, lasts), 0)
        if part not in ("broker", "database"):
            return self._to_links(action, part, fault)
        if action == "delay":
            groups = self._stack.broker_links if part == "broker" else self._stack.database_links
            links = [link for group in groups.values() for link in group]
            return FaultAction(part, _each(links, Proxy.slow_down), _each(links, Proxy.speed_up), lasts)
        return _to_server(action, part, self._stores.nodes[0] if part == "broker" else self._stores.postgresql, lasts)

    def _to_service(self, action: str, name: str, lasts: float) -> FaultAction:
        if action == "kill":
            return FaultAction(name, _blocking(self._supervisor.kill, name), _nothing, 0)
        if action == "restart":
            return FaultAction(name, _nothing, _blocking(self._supervisor.terminate, name), 0)
        child = self._stack.parts[name].child
        assert child
        return FaultAction(name, _blocking(child.pause), _blocking(child.resume), lasts)

    async def _to_node(self, action: str, part: str, fault: Fault) -> FaultAction:
        cluster = self._stores.cluster
        assert cluster
        index = fault.choice % len(cluster.nodes)
        if part == "leader node":
            index = await asyncio.to_thread(cluster.leader_of, LEADER_OF)
        name = f"node {index}"
        if action == "kill":
            return FaultAction(
                name, _blocking(cluster.kill_node, index), _blocking(cluster.start_node, index), fault.lasts
            )
        if action == "pause":
            return FaultAction(
                name, _blocking(cluster.pause_node, index), _blocking(cluster.resume_node, index), fault.lasts
            )

        def restart() -> None:
            cluster.nodes[index].restart()
            cluster.wait_until_healthy()

        return FaultAction(name, _nothing, _blocking(restart), 0)

    def _to_links(self, action: str, part: str, fault: Fault) -> FaultAction:
        kind, _, server = part.partition("-")
        groups = {"broker": self._stack.broker_links, "database": self._stack.database_links}
        names = self._stack.processes["gateway" if kind == "client" else kind]
        name = names[fault.choice % len(names)]
        links = self._stack.client_links[name] if kind == "client" else groups[server][name]
        if action == "cut":
            return FaultAction(name, _each(links, Proxy.cut), _nothing, 0)
        # Half of the stalls end with a cut of the connections.
        repair = Proxy.cut_and_resume if fault.choice & 1024 else Proxy.resume
        return FaultAction(name, _each(links, Proxy.stall), _each(links, repair), fault.lasts)

    async def _storm(self, lasts: float) -> int:
        """Close the channels of all consumers repeatedly; returns how many times."""
        end, times = time.monotonic() + lasts, 0
        while time.monotonic() < end:
            await asyncio.to_thread(self._stores.nodes[0].evaluate, CLOSE_CHANNELS)
            times += 1
            await pause(STORM_INTERVAL, "the interval of the storm")
        return times


def _to_server(action: str, part: str, server: Any, lasts: float) -> FaultAction:
    if action == "kill":
        return FaultAction(part, _blocking(server.kill), _blocking(server.start), lasts)
    if action == "pause":
        return FaultAction(part, _blocking(server.pause), _blocking(server.resume), lasts)
    return FaultAction(part, _nothing, _blocking(server.restart), 0)


async def _nothing() -> None:
    """Do nothing: the action has only a duration, or a supervisor repairs the fault."""


def _blocking(act: Callable[..., object], *arguments: object) -> Act:
    async def run() -> None:
        await asyncio.to_thread(act, *arguments)

    return run


def _each(links: Sequence[Proxy], act: Callable[[Proxy], None]) -> Act:
    async def run() -> None:
        for link in links:
            act(link)

    return run
