"""Starts all systems, measures them in interleaved rounds, and stops them."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil

from benchmarks.generator.job import Phase
from benchmarks.measure import Result, measure
from benchmarks.options import Options
from benchmarks.processes import Parts
from benchmarks.systems.backchat import Distributed, Embedded
from benchmarks.systems.baselines import Bare, Ceiling, Seed
from benchmarks.systems.stores import Stores
from benchmarks.systems.system import ROOT, System

PACKAGES = ("python-socketio", "uvicorn", "uvloop", "picows", "aio-pika", "asyncpg", "sqlalchemy", "flask-socketio")
CEILING = Phase(kind="closed", connections=100, lanes=4, warm=0.5, seconds=2)


def run(options: Options) -> dict[str, Any]:
    """Run the benchmarks. Progress is written to standard error.

    Returns:
        `ceiling` and, by system, `systems`: a list of results of `measure`, one a round; `machine`, `flags`.
    """
    processes = Parts()
    with ExitStack() as stack:
        stores = Stores(processes)
        stack.callback(stores.stop)
        ceiling = _ceiling(processes)
        systems = [stack.enter_context(_running(system)) for system in _systems(options, processes, stores)]
        for system in systems:
            say(f"{system.name} runs as {processes.pids(system.parts)}")
        results: dict[str, list[Result]] = {system.name: [] for system in systems}
        for number in range(options.rounds):
            for system in systems:
                phases = (*options.phases, *(options.streamed if system.streams else ()))
                result = measure(system, phases, processes, audit=options.audit)
                results[system.name].append(result)
                say(f"round {number + 1} {system.name}: {_short(result)}")
        machine = _machine() | stores.versions()
    return {"ceiling": ceiling, "systems": results, "machine": machine, "flags": list(options.given)}


def say(line: str) -> None:
    """Write a line of progress."""
    print(line, file=sys.stderr, flush=True)


def _systems(options: Options, processes: Parts, stores: Stores) -> list[System]:
    make: dict[str, Callable[[], System]] = {
        "embedded": lambda: Embedded(processes, options.environment),
        "distributed": lambda: Distributed(processes, options.environment, stores, gateways=options.gateways),
        "seed": lambda: Seed(processes, stores),
        "bare": lambda: Bare(processes),
    }
    return [make[name]() for name in options.systems]


@contextmanager
def _running(system: System) -> Iterator[System]:
    try:
        system.start()
        say(f"started {system.name} {' '.join(system.urls)}")
        yield system
    finally:
        system.stop()


def _ceiling(processes: Parts) -> Result:
    with _running(Ceiling(processes)) as system:
        return dict(measure(system, [CEILING], processes, audit=False)["phases"][CEILING.name])


def _short(result: Result) -> str:
    phases = (f"{name} {found['turns_per_second']:g}/s" for name, found in result["phases"].items())
    return ", ".join(phases) + f", {result['tally']}"


def _machine() -> dict[str, str]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "cores": str(psutil.cpu_count()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    } | {package: version(package) for package in PACKAGES}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
