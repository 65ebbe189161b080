"""Doing the faults of a plan to a running stack, one after another, each logged with its start and repair."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from tests.chaos.doubling import Doubler
from tests.chaos.faults import Fault
from tests.chaos.proxy import Proxy
from tests.chaos.stack import BreakableStack
from tests.chaos.stores import Stores
from tests.chaos.supervisor import Supervisor

STORM = 0.4  # seconds between two closings of all consumers' channels
LEADER_OF = "persistence.4.p.0"
CLOSE_CHANNELS = """
lists:foreach(fun(Channel) ->
  case catch rabbit_channel:info(Channel, [consumer_count]) of
    [{consumer_count, Count}] when Count > 0 -> rabbit_channel:do(Channel, {'basic.ack', 16#7FFFFFFFFFFF, false});
    _ -> ok
  end end, rabbit_channel:list()).
"""  # an ack of nothing: the broker closes the channel (406) and delivers again what it had taken


class Injected(BaseModel):
    """One fault that was done. Times: the system-wide monotonic clock, in seconds."""

    kind: str
    action: str
    part: str
    target: str
    start: float
    repair: float


Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Deed:
    """A fault about to be done: to what, how it begins, and how it is repaired."""

    target: str
    harm: Act
    mend: Act
    lasts: float  # seconds in between


class Injector:
    """Does faults to a stack."""

    def __init__(self, stack: BreakableStack, stores: Stores | None, supervisor: Supervisor) -> None:
        self._stack = stack
        self._given = stores
        self._supervisor = supervisor

    @property
    def _stores(self) -> Stores:
        assert self._given, "the embedded system has no servers to break"
        return self._given

    async def inject(self, fault: Fault) -> Injected:
        """Do one fault and repair it. It starts when its harm is done, so that nobody is served after it by chance."""
        kind = fault.kind
        deed = await self._deed(fault)
        await deed.harm()
        start = time.monotonic()
        await asyncio.sleep(deed.lasts)
        done = await deed.mend()
        instant = kind.action == "cut" or (kind.action == "kill" and kind.part in self._stack.processes)
        return Injected(
            kind=kind.name,
            action=kind.action,
            part=kind.part,
            target=deed.target if done is None else f"{deed.target}, {done} times",
            start=start,
            repair=start if instant else time.monotonic(),
        )

    async def _deed(self, fault: Fault) -> Deed:
        action, part, lasts = fault.kind.action, fault.kind.part, fault.lasts
        if names := self._stack.processes.get(part):
            return self._to_service(action, names[fault.choice % len(names)], lasts)
        if part.endswith(" node"):
            return await self._to_node(action, part, fault)
        if part == "consumers":
            return Deed("broker", _nothing, partial(self._storm, lasts), 0)
        if part == "deliveries":
            doubler = Doubler([node.url for node in self._stores.nodes])
            return Deed("broker", _nothing, partial(doubler.run, lasts), 0)
        if part not in ("broker", "database"):
            return self._to_links(action, part, fault)
        if action == "delay":
            groups = self._stack.broker_links if part == "broker" else self._stack.database_links
            links = [link for group in groups.values() for link in group]
            return Deed(part, _each(links, Proxy.slow_down), _each(links, Proxy.speed_up), lasts)
        return _to_server(action, part, self._stores.nodes[0] if part == "broker" else self._stores.postgresql, lasts)

    def _to_service(self, action: str, name: str, lasts: float) -> Deed:
        if action == "kill":
            return Deed(name, _blocking(self._supervisor.kill, name), _nothing, 0)
        if action == "restart":
            return Deed(name, _nothing, _blocking(self._supervisor.terminate, name), 0)
        child = self._stack.parts[name].child
        assert child
        return Deed(name, _blocking(child.pause), _blocking(child.resume), lasts)

    async def _to_node(self, action: str, part: str, fault: Fault) -> Deed:
        cluster = self._stores.cluster
        assert cluster
        index = fault.choice % len(cluster.nodes)
        if part == "leader node":
            index = await asyncio.to_thread(cluster.leader_of, LEADER_OF)
        name = f"node {index}"
        if action == "kill":
            return Deed(name, _blocking(cluster.kill_node, index), _blocking(cluster.start_node, index), fault.lasts)
        if action == "pause":
            return Deed(name, _blocking(cluster.pause_node, index), _blocking(cluster.resume_node, index), fault.lasts)

        def restart() -> None:
            cluster.nodes[index].restart()
            cluster.wait_until_whole()

        return Deed(name, _nothing, _blocking(restart), 0)

    def _to_links(self, action: str, part: str, fault: Fault) -> Deed:
        kind, _, server = part.partition("-")
        groups = {"broker": self._stack.broker_links, "database": self._stack.database_links}
        names = self._stack.processes["gateway" if kind == "client" else kind]
        name = names[fault.choice % len(names)]
        links = self._stack.client_links[name] if kind == "client" else groups[server][name]
        if action == "cut":
            return Deed(name, _each(links, Proxy.cut), _nothing, 0)
        # Every other stall ends with nothing left of the connections.
        mend = Proxy.cut_and_resume if fault.choice & 1024 else Proxy.resume
        return Deed(name, _each(links, Proxy.stall), _each(links, mend), fault.lasts)

    async def _storm(self, lasts: float) -> int:
        """Close the channels of all consumers again and again; how many times."""
        until, times = time.monotonic() + lasts, 0
        while time.monotonic() < until:
            await asyncio.to_thread(self._stores.nodes[0].evaluate, CLOSE_CHANNELS)
            times += 1
            await asyncio.sleep(STORM)
        return times


def _to_server(action: str, part: str, server: Any, lasts: float) -> Deed:
    if action == "kill":
        return Deed(part, _blocking(server.kill), _blocking(server.start), lasts)
    if action == "pause":
        return Deed(part, _blocking(server.pause), _blocking(server.resume), lasts)
    return Deed(part, _nothing, _blocking(server.restart), 0)


async def _nothing() -> None:
    """The harm of what only has a duration; the repair of what a supervisor or a successor repairs."""


def _blocking(act: Callable[..., object], *arguments: object) -> Act:
    async def run() -> None:
        await asyncio.to_thread(act, *arguments)

    return run


def _each(links: Sequence[Proxy], act: Callable[[Proxy], None]) -> Act:
    async def run() -> None:
        for link in links:
            act(link)

    return run
