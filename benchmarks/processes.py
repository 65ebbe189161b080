"""Samples CPU and memory of process trees, grouped by part of a system."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time used so far, in seconds, the one of descendants that have ended included.

    `machine_seconds` is that of all processes of the machine, `own_seconds` that of this one.
    """

    cpu_seconds: dict[str, float]
    machine_seconds: float
    own_seconds: float

    def since(self, earlier: Usage) -> Usage:
        """Return the difference to an earlier sample."""
        return Usage(
            {part: used - earlier.cpu_seconds.get(part, 0.0) for part, used in self.cpu_seconds.items()},
            self.machine_seconds - earlier.machine_seconds,
            self.own_seconds - earlier.own_seconds,
        )


@dataclass(slots=True)
class Parts:
    """The processes of the systems under test, by part; all are descendants of this process."""

    _roots: dict[int, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def start(self, part: str) -> Iterator[None]:
        """Assign the processes that are started inside the context, and their children, to `part`."""
        before = {child.pid for child in psutil.Process().children()}
        yield
        for child in psutil.Process().children():
            if child.pid not in before:
                self._roots[child.pid] = part

    def sample(self, parts: frozenset[str]) -> Usage:
        """Sample the CPU time of the given parts."""
        used: dict[str, float] = defaultdict(float)
        for part, process in self._members(parts):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used[part] += times.user + times.system + times.children_user + times.children_system
        machine = psutil.cpu_times()
        own = psutil.Process().cpu_times()
        return Usage(dict(used), sum(machine) - machine.idle - machine.iowait, own.user + own.system)

    def memory(self, parts: frozenset[str]) -> dict[str, float]:
        """Return the memory of the given parts in MiB; shared pages are divided among their processes (PSS)."""
        mebibytes: dict[str, float] = defaultdict(float)
        for part, process in self._members(parts):
            with contextlib.suppress(psutil.NoSuchProcess):
                try:
                    size = process.memory_full_info().pss
                except psutil.AccessDenied:
                    size = process.memory_info().rss
                mebibytes[part] += size / 2**20
        return {part: round(size, 1) for part, size in mebibytes.items()}

    def pids(self, parts: frozenset[str]) -> dict[str, list[int]]:
        """Return the process ids of the given parts."""
        found: dict[str, list[int]] = defaultdict(list)
        for part, process in self._members(parts):
            found[part].append(process.pid)
        return dict(found)

    def _members(self, parts: frozenset[str]) -> Iterator[tuple[str, psutil.Process]]:
        # One walk over the process table for all parts: `children` of each root would be a walk each.
        part_of = {pid: part for pid, part in self._roots.items() if part in parts}
        for process in psutil.Process().children(recursive=True):  # parents come before their children
            with contextlib.suppress(psutil.NoSuchProcess):
                part = part_of.get(process.pid) or part_of.get(process.ppid())
                if part:
                    part_of[process.pid] = part
                    yield part, process
