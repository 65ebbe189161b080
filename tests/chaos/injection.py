"""Doing the faults of a plan to a running stack, one after another, each logged with its start and repair."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from tests.chaos.doubling import Doubler
from tests.chaos.faults import Fault
from tests.chaos.proxy import Proxy
from tests.chaos.stack import KINDS, ChaosStack, Stores, Supervisor

DELAY = 0.15  # seconds by which a delayed link is late, in each direction
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


class Injector:
    """Does faults to a stack."""

    def __init__(self, stack: ChaosStack, stores: Stores, supervisor: Supervisor) -> None:
        self._stack = stack
        self._stores = stores
        self._supervisor = supervisor
        self._doubler = Doubler([node.url for node in stores.nodes])

    async def inject(self, fault: Fault) -> Injected:
        """Do one fault and repair it."""
        kind = fault.kind
        start = time.monotonic()
        if kind.part in KINDS:
            names = KINDS[kind.part]
            target = names[fault.choice % len(names)]
            await self._service(kind.action, target, fault.lasts)
        elif kind.part in ("broker", "database"):
            target = kind.part
            await self._server(kind.action, kind.part, fault.lasts)
        elif kind.part.endswith(" node"):
            target = await self._node(kind.action, kind.part, fault)
        elif kind.part == "consumers":
            target = f"{await self._storm(fault.lasts)} times"
        elif kind.part == "deliveries":
            target = f"{await self._doubler.run(fault.lasts)} copies"
        else:
            target = await self._links(kind.action, kind.part, fault)
        instant = kind.action == "cut" or (kind.action == "kill" and kind.part in KINDS)
        repair = start if instant else time.monotonic()
        return Injected(kind=kind.name, action=kind.action, part=kind.part, target=target, start=start, repair=repair)

    async def _service(self, action: str, name: str, lasts: float) -> None:
        if action == "kill":
            await asyncio.to_thread(self._supervisor.kill, name)
        elif action == "restart":
            await asyncio.to_thread(self._supervisor.terminate, name)
        else:
            child = self._stack.parts[name].child
            assert child
            await _paused(child, lasts)

    async def _server(self, action: str, part: str, lasts: float) -> None:
        if action == "delay":
            links = self._stack.broker_links if part == "broker" else self._stack.database_links
            await _delayed([link for group in links.values() for link in group], lasts)
            return
        server: Any = self._stores.nodes[0] if part == "broker" else self._stores.postgresql
        await _outage(action, server, lasts)

    async def _node(self, action: str, part: str, fault: Fault) -> str:
        cluster = self._stores.cluster
        assert cluster
        if part == "leader node":
            index = await asyncio.to_thread(cluster.leader_of, LEADER_OF)
        else:
            index = fault.choice % len(cluster.nodes)
        if action == "kill":
            await asyncio.to_thread(cluster.kill_node, index)
            await asyncio.sleep(fault.lasts)
            await asyncio.to_thread(cluster.start_node, index)
        elif action == "pause":
            await asyncio.to_thread(cluster.pause_node, index)
            await asyncio.sleep(fault.lasts)
            await asyncio.to_thread(cluster.resume_node, index)
        else:
            await asyncio.to_thread(cluster.nodes[index].restart)
        await asyncio.to_thread(cluster.wait_until_whole)
        return f"node {index}"

    async def _links(self, action: str, part: str, fault: Fault) -> str:
        kind, _, server = part.partition("-")
        groups = {"broker": self._stack.broker_links, "database": self._stack.database_links}
        name_of = KINDS["gateway" if kind == "client" else kind]
        name = name_of[fault.choice % len(name_of)]
        links = self._stack.client_links[name] if kind == "client" else groups[server][name]
        if action == "cut":
            _each(links, Proxy.cut)
        else:
            _each(links, Proxy.stall)
            await asyncio.sleep(fault.lasts)
            if fault.choice & 1024:  # every other stall ends with nothing left of the connections
                _each(links, Proxy.cut)
            _each(links, Proxy.resume)
        return name

    async def _storm(self, lasts: float) -> int:
        """Close the channels of all consumers again and again; how many times."""
        until, times = time.monotonic() + lasts, 0
        while time.monotonic() < until:
            for node in self._stores.nodes:
                await asyncio.to_thread(node.evaluate, CLOSE_CHANNELS)
            times += 1
            await asyncio.sleep(STORM)
        return times


async def _outage(action: str, server: Any, lasts: float) -> None:
    """Kill, pause or restart a server, and bring it back; returns when it answers again."""
    if action == "kill":
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(lasts)
        await asyncio.to_thread(server.start)
    elif action == "restart":
        await asyncio.to_thread(server.restart)
    else:
        await _paused(server, lasts)


async def _paused(process: Any, lasts: float) -> None:
    await asyncio.to_thread(process.pause)
    try:
        await asyncio.sleep(lasts)
    finally:
        process.resume()


async def _delayed(links: Sequence[Proxy], lasts: float) -> None:
    for link in links:
        link.delay = DELAY
    try:
        await asyncio.sleep(lasts)
    finally:
        for link in links:
            link.delay = 0.0


def _each(links: Sequence[Proxy], act: Callable[[Proxy], None]) -> None:
    for link in links:
        act(link)
