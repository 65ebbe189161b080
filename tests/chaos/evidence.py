"""What a run leaves on disk: `ledgers/*.jsonl`, `faults.jsonl`, `histories.json`; and what follows from it.

`python -m tests.chaos.evidence DIRECTORY` compares once more, after the fact.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.checker import HARMS, Findings, History, Run, check
from tests.chaos.injection import Injected
from tests.chaos.ledger import read
from tests.chaos.recovery import Recoveries, homes, median, operations, summary
from tests.chaos.sent import messages_of

HISTORIES = "histories.json"
FAULTS = "faults.jsonl"
LEDGERS = "ledgers"


def keep(directory: Path, histories: Mapping[str, History]) -> None:
    """Write the histories that were read."""
    plain = {session: asdict(history) for session, history in histories.items()}
    (directory / HISTORIES).write_bytes(orjson.dumps(plain))


def faults_of(directory: Path) -> list[Injected]:
    """The fault log."""
    path = directory / FAULTS
    return [Injected.model_validate(line) for line in read(path)] if path.exists() else []


def load(directory: Path) -> Run:
    """The run as the checker wants it."""
    ledgers = {path.stem: list(read(path)) for path in sorted((directory / LEDGERS).glob("*.jsonl"))}
    plain = orjson.loads((directory / HISTORIES).read_bytes())
    histories = {session: History(**history) for session, history in plain.items()}
    return Run(ledgers, histories, [(fault.start, fault.repair) for fault in faults_of(directory)])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What went wrong, and how long the faults were felt: p50 of all in seconds, and a row for each kind."""

    findings: Findings
    median: float | None
    recovery: dict[str, dict[str, Any]]


def compare(directory: Path) -> Verdict:
    """Check a run that is over."""
    run = load(directory)
    sent = {client: messages_of(entries) for client, entries in run.ledgers.items()}
    log = [fault.model_dump() for fault in faults_of(directory)]
    recoveries = Recoveries(operations(run.ledgers, sent), homes(run.ledgers), log)
    felt = [recoveries.of(fault) for fault in log]
    return Verdict(check(run), median(felt), summary(felt))


def main(directory: Path) -> int:
    """Print the findings; exit code 1 if there are any."""
    verdict = compare(directory)
    for name, found in verdict.findings.harms.items():
        lines = [f"{name}: {len(found)} ({HARMS[name]})", *(f"    {where}" for where in found[:20])]
        sys.stdout.write("\n".join(lines) + "\n")
    for kind, row in verdict.recovery.items():
        sys.stdout.write(f"{kind}: {row}\n")
    return int(not verdict.findings.harmless)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
