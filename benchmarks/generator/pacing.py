"""A kernel timer (timerfd) for the open loop, because event loops round timers to milliseconds."""

from __future__ import annotations

import ctypes
import os
from time import monotonic
from typing import Self

CLOCK_MONOTONIC = 1  # the clock of `time.monotonic` on Linux
TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
TFD_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("first", _Timespec))


class Pacer:
    """A readable file descriptor that comes due every `1 / rate` seconds from `start` on, on the kernel's schedule."""

    def __init__(self, rate: float, *, delay: float = 0.05) -> None:
        self.interval = 1 / rate
        self.start = monotonic() + delay
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        setting = _Timerspec(_timespec(self.interval), _timespec(self.start))
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(setting), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._expired = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._fd

    def due(self) -> list[float]:
        """The intended times that have come since the last call, in order."""
        try:
            count = int.from_bytes(os.read(self._fd, 8), "little")
        except BlockingIOError:
            return []
        first = self._expired
        self._expired += count
        return [self.start + number * self.interval for number in range(first, first + count)]


def _timespec(seconds: float) -> _Timespec:
    whole = int(seconds)
    return _Timespec(whole, int((seconds - whole) * 1e9))
