"""Pacing of values that change often: shows at most one per interval and key, and always the last one."""

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
    waiting: list[V]  # empty, or the newest value


class Pacing(Generic[K, V]):
    """Calls `show` for the first value of a key, and then at most every `interval` seconds for the newest one.

    Keys without a recent value take no memory.
    """

    def __init__(self, interval: float, show: Callable[[K, V], None]) -> None:
        self._interval = interval
        self._show = show
        self._pauses: dict[K, _Pause[V]] = {}

    def __len__(self) -> int:
        return len(self._pauses)

    def offer(self, key: K, value: V) -> None:
        """Show a value now, or after the interval of its key unless a newer value replaces it."""
        pause = self._pauses.get(key)
        if pause is not None:
            pause.waiting[:] = [value]
            return
        self._pauses[key] = _Pause(self._timer(key), [])
        self._show(key, value)

    def close(self) -> None:
        """Cancel the timers; nothing is shown afterwards."""
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
