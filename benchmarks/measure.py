"""Runs a generator process against a system, and samples the CPU of both in each measured window."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import orjson
import psutil

from benchmarks.generator.job import Job, Phase
from benchmarks.processes import Parts, Usage
from benchmarks.systems.system import ROOT, System
from tests.support.children import PLAIN_ENVIRONMENT

Result = dict[str, Any]


class GeneratorFailed(RuntimeError):
    """The generator ended without its result."""


def measure(system: System, phases: Sequence[Phase], processes: Parts, *, audit: bool) -> Result:
    """Run the phases against the system.

    Returns:
        `phases`: by name, the generator's result with `cpu_us` a turn by part, `memory_mib` by part, and
        `strangers`, the share of the machine that neither the system nor the benchmark used;
        `tally` and `completed` over all of them.

    Raises:
        GeneratorFailed: with what it printed last.
    """
    connections = max(phase.connections for phase in phases)
    job = Job(
        urls=system.urls,
        tokens=system.tokens(connections),
        tells_stored=system.tells_stored,
        audit=audit and system.tells_stored and system.name != "ceiling",
        phases=tuple(phases),
    )
    generator = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=PLAIN_ENVIRONMENT,
        cwd=ROOT,
    )
    with generator:
        try:
            return _follow(generator, job, system, processes)
        finally:
            generator.kill()


def _follow(generator: subprocess.Popen[bytes], job: Job, system: System, processes: Parts) -> Result:
    assert generator.stdin
    assert generator.stdout
    generator.stdin.write(job.model_dump_json().encode())
    generator.stdin.close()
    found: dict[str, Result] = {}
    begin = spent = Usage({}, 0.0, 0.0)
    memory: dict[str, float] = {}
    for text in generator.stdout:
        line = orjson.loads(text)
        if line["mark"] == "begin":
            begin = processes.sample(system.parts)
        elif line["mark"] == "end":
            spent = processes.sample(system.parts).since(begin)
            memory = processes.memory(system.parts)
        elif line["mark"] == "result":
            found[line["phase"]] = line["result"] | _a_turn(line["result"], spent) | {"memory_mib": memory}
        elif line["mark"] == "done":
            return {"phases": found, "tally": line["tally"], "completed": line["completed"]}
    raise GeneratorFailed(f"{system.name}: the generator ended early")


def _a_turn(result: Result, spent: Usage) -> Result:
    """Return CPU microseconds per turn, by part and of the generator, and the share of the machine used by others."""
    turns = max(result["turns"], 1)
    generator = result["generator_cpu_seconds"]
    strangers = spent.machine_seconds - spent.own_seconds - sum(spent.cpu_seconds.values()) - generator
    return {
        "cpu_us": {part: round(seconds / turns * 1e6, 1) for part, seconds in spent.cpu_seconds.items()},
        "generator_us": round(generator / turns * 1e6, 1),
        "strangers": round(max(strangers, 0.0) / result["seconds"] / psutil.cpu_count(), 3),
    }
