"""A short run of the whole suite, as an operator starts it: every promise holds, and the report says what was done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT

KINDS = "kill gateway,kill persistence,kill chatbot,kill broker,kill database,cut gateway-broker,restart gateway,double"
FAULTS = 8  # every one of these kinds once
PATIENCE = 300  # seconds


@pytest.mark.chaos
@pytest.mark.postgresql
@pytest.mark.rabbitmq
@pytest.mark.timeout(PATIENCE + 30)
def test_nothing_is_lost_doubled_or_out_of_order_whatever_is_killed(tmp_path: Path) -> None:
    flags = ["--clients", "24", "--rate", "16", "--faults", str(FAULTS), "--seconds", "90", "--seed", "20261123"]
    command = [sys.executable, "-m", "tests.chaos", *flags, "--kinds", KINDS, "--results", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    report = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert {name: harm["count"] for name, harm in report["harms"].items() if harm["count"]} == {}
    assert len({fault["kind"] for fault in report["faults"]}) == len(report["faults"]) == FAULTS
    assert report["counts"]["acked"] > 300
    assert report["counts"]["entries_delta"] > 1_000, "replies were not under way when the faults came"
    assert all(row["not_before_the_end"] == 0 for row in report["recovery"].values())
