"""Pacing: of what changes often, at most one value in a while is shown, and the last one always is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Pause(Generic[V]):
    timer: asyncio.TimerHandle
    waiting: list[V]  # none, or the newest value


class Pacing(Generic[K, V]):
    """Shows values by key: at once, then not again for `interval` seconds. Keeps nothing of keys that are at rest."""

    def __init__(self, interval: float, show: Callable[[K, V], None]) -> None:
        self._interval = interval
        self._show = show
        self._pauses: dict[K, _Pause[V]] = {}

    def __len__(self) -> int:
        return len(self._pauses)

    def offer(self, key: K, value: V) -> None:
        """Show it, now or when the pause of its key is over; a newer one takes its place until then."""
        pause = self._pauses.get(key)
        if pause is not None:
            pause.waiting[:] = [value]
            return
        self._pauses[key] = _Pause(self._timer(key), [])
        self._show(key, value)

    def close(self) -> None:
        """Show nothing more."""
        for pause in self._pauses.values():
            pause.timer.cancel()
        self._pauses.clear()

    def _timer(self, key: K) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._interval, self._over, key)

    def _over(self, key: K) -> None:
        pause = self._pauses[key]
        if not pause.waiting:
            del self._pauses[key]
            return
        pause.timer = self._timer(key)
        self._show(key, pause.waiting.pop())
