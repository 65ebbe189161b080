"""A short run, started as an operator does: no anomaly, and the report lists every fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT

KINDS = (
    "kill gateway,kill persistence,kill chatbot,kill broker,kill database,cut gateway-broker,restart gateway,duplicate"
)
FAULTS = 8  # one of each kind
PATIENCE = 300  # seconds


@pytest.mark.chaos
@pytest.mark.postgresql
@pytest.mark.rabbitmq
@pytest.mark.timeout(PATIENCE + 30)
def test_killed_processes_and_servers_cause_no_loss_duplicate_or_reordering(tmp_path: Path) -> None:
    flags = ["--clients", "24", "--rate", "16", "--faults", str(FAULTS), "--seconds", "90", "--seed", "20261123"]
    command = [sys.executable, "-m", "tests.chaos", *flags, "--kinds", KINDS, "--results", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    report = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert {name: found["count"] for name, found in report["anomalies"].items() if found["count"]} == {}
    assert len({fault["kind"] for fault in report["faults"]}) == len(report["faults"]) == FAULTS
    assert report["counts"]["acked"] > 300
    assert report["counts"]["entries_delta"] > 1_000, "too few replies were streaming during the faults"
    assert all(row["not_before_the_end"] == 0 for row in report["recovery"].values())
