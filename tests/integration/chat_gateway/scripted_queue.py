"""A gateway's own queue in a test's hands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from shared.bus.port import Batch, Delivery
from shared.contracts.envelope import Event, join
from shared.contracts.topology import Exchange


class ScriptedSubscription:
    """The gateway's own queue."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.bind_gate = asyncio.Event()
        self.bind_gate.set()
        self._batches: deque[Batch] = deque()
        self._there = asyncio.Event()

    def put(self, key: str, *events: Event, gap: bool = False) -> None:
        if events and key not in self.keys:
            return
        body = join(event.encode() for event in events)
        deliveries = [Delivery(body, key, 0, 0, 0)] if events else []
        self._batches.append(Batch(deliveries, gap))
        self._there.set()

    async def take(self, most: int = 1_000) -> Batch:
        while not self._batches:
            self._there.clear()
            await self._there.wait()
        deliveries: list[Delivery] = []
        gap = False
        while self._batches and not gap and len(deliveries) < most:
            batch = self._batches.popleft()
            deliveries += batch.deliveries
            gap = batch.gap
        return Batch(deliveries, gap)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        pass

    async def bind(self, exchange: Exchange, key: str) -> None:
        await self.bind_gate.wait()
        self.keys.add(key)

    async def unbind(self, exchange: Exchange, key: str) -> None:
        self.keys.discard(key)

    async def close(self) -> None:
        pass
