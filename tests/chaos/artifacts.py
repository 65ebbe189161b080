"""Files of a run: `operation_logs/*.jsonl`, `faults.jsonl` and `histories.json`.

`python -m tests.chaos.artifacts DIRECTORY` checks the files of an earlier run again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.checker import ANOMALIES, Findings, History, Run, check
from tests.chaos.injection import InjectedFault
from tests.chaos.operation_log import read
from tests.chaos.recovery import Recoveries, homes, median, operations, summary
from tests.chaos.sent_messages import messages_of

HISTORIES = "histories.json"
FAULTS = "faults.jsonl"
OPERATION_LOGS = "operation_logs"


def write_histories(directory: Path, histories: Mapping[str, History]) -> None:
    """Write `histories.json`."""
    plain = {session: asdict(history) for session, history in histories.items()}
    (directory / HISTORIES).write_bytes(orjson.dumps(plain))


def faults_of(directory: Path) -> list[InjectedFault]:
    """Read `faults.jsonl`; empty if there is none."""
    path = directory / FAULTS
    return [InjectedFault.model_validate(line) for line in read(path)] if path.exists() else []


def load(directory: Path) -> Run:
    """Read the input of the checker."""
    operation_logs = {path.stem: list(read(path)) for path in sorted((directory / OPERATION_LOGS).glob("*.jsonl"))}
    plain = orjson.loads((directory / HISTORIES).read_bytes())
    histories = {session: History(**history) for session, history in plain.items()}
    return Run(operation_logs, histories, [(fault.start, fault.repair) for fault in faults_of(directory)])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Anomalies, and recovery times: p50 of all faults in seconds, and one row per kind."""

    findings: Findings
    median: float | None
    recovery: dict[str, dict[str, Any]]


def compare(directory: Path) -> Verdict:
    """Check the files of a run."""
    run = load(directory)
    sent = {client: messages_of(entries) for client, entries in run.operation_logs.items()}
    faults = [fault.model_dump() for fault in faults_of(directory)]
    recoveries = Recoveries(operations(run.operation_logs, sent), homes(run.operation_logs), faults)
    recovered = [recoveries.of(fault) for fault in faults]
    return Verdict(check(run), median(recovered), summary(recovered))


def main(directory: Path) -> int:
    """Print the findings; returns 1 if there are any."""
    verdict = compare(directory)
    for name, found in verdict.findings.anomalies.items():
        lines = [f"{name}: {len(found)} ({ANOMALIES[name]})", *(f"    {where}" for where in found[:20])]
        sys.stdout.write("\n".join(lines) + "\n")
    for kind, row in verdict.recovery.items():
        sys.stdout.write(f"{kind}: {row}\n")
    return int(not verdict.findings.clean)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
