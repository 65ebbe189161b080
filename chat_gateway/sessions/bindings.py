"""The bindings of this gateway's queue to routing keys of `chat.delivery`: counted, and removed with a delay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.bus.port import Subscription
from shared.contracts.topology import DELIVERY
from shared.errors import Unavailable

LINGER = 60.0  # seconds that a key stays bound after its last user


@dataclass(slots=True)
class _Binding:
    users: int = 0
    bound: asyncio.Task[None] | None = None
    unbinding: asyncio.TimerHandle | None = None


class Bindings:
    """The bindings of the delivery queue, which exists after the first connection to the bus."""

    def __init__(self) -> None:
        self._bindings: dict[str, _Binding] = {}
        self._subscription: Subscription | None = None
        self._is_subscribed = asyncio.Event()
        self._unbinding: dict[str, asyncio.Task[None]] = {}

    def subscribed(self, subscription: Subscription) -> None:
        """Start binding: the queue exists."""
        self._subscription = subscription
        self._is_subscribed.set()

    def acquire(self, key: str) -> None:
        """Use a key until `release`; it is bound when `wait_bound` returns."""
        binding = self._bindings.setdefault(key, _Binding())
        binding.users += 1
        if binding.unbinding is not None:
            binding.unbinding.cancel()
            binding.unbinding = None

    async def wait_bound(self, key: str, timeout: float) -> None:
        """Wait until an acquired key is bound.

        Raises:
            Unavailable: the bus is away.
        """
        binding = self._bindings[key]
        task = binding.bound
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = binding.bound = asyncio.create_task(self._bind(key), name=f"bind {key}")
            task.add_done_callback(_retrieve_exception)
        if task.done():
            return
        done, _ = await asyncio.wait({task}, timeout=timeout)
        if not done:
            raise Unavailable(retry_after=1.0)
        task.result()

    def release(self, key: str) -> None:
        """End one use of a key; the last one starts the delay after which the key is unbound."""
        binding = self._bindings[key]
        binding.users -= 1
        if binding.users == 0:
            binding.unbinding = asyncio.get_running_loop().call_later(LINGER, self._expire, key)

    def close(self) -> None:
        """Cancel the timers and tasks."""
        for binding in self._bindings.values():
            if binding.unbinding is not None:
                binding.unbinding.cancel()
            if binding.bound is not None:
                binding.bound.cancel()
        for task in self._unbinding.values():
            task.cancel()

    async def _bind(self, key: str) -> None:
        await self._is_subscribed.wait()
        assert self._subscription is not None
        if (unbinding := self._unbinding.get(key)) is not None:
            await asyncio.wait({unbinding})  # otherwise it might remove the new binding
        await self._subscription.bind(DELIVERY, key)

    def _expire(self, key: str) -> None:
        binding = self._bindings.pop(key)
        if binding.bound is not None:
            task = self._unbinding[key] = asyncio.create_task(self._unbind(key, binding.bound), name=f"unbind {key}")
            task.add_done_callback(lambda _: self._unbinding.pop(key, None))

    async def _unbind(self, key: str, bound: asyncio.Task[None]) -> None:
        await asyncio.wait({bound})
        if self._subscription is not None:
            await self._subscription.unbind(DELIVERY, key)


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # marks it as retrieved; a waiter has it raised, and without a waiter it does not matter
