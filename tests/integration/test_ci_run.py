"""`.ci/run` fails if a check ran and failed, and names in one line the checks that could not be started.

The script runs in a directory where `make` and all further scripts are stubs that end as a file says.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import ROOT
from tests.support.waiting import wait_until

PATIENCE = 60.0  # seconds
CLOSING = "3000 passed, 2 skipped in 600.00s (0:10:00)"
# Takes the exit codes of a step from a file with one line per call; prints what pytest would print.
STUB = """#!/bin/bash
name=$(basename "$0")
[ "$name" != make ] || name=$1
[ "$name" != run ] || name=clock
echo "$name $*" >>calls
echo "12 passed in 1.00s"
echo "{closing}"
codes=codes/$name
code=0
if [ -s "$codes" ]; then
    code=$(head -n 1 "$codes")
    sed -i 1d "$codes"
fi
[ "$code" != 75 ] || echo "backchat: not on this machine"
[ "$code" != wait ] || exec sleep 600
exit "$code"
"""


class Checkout:
    """A directory with `.ci/run` and stubs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for script in ("bin/make", "tests/clock/run", ".ci/rabbitmq4", ".ci/pgbouncer", ".ci/compose"):
            (path / script).parent.mkdir(parents=True, exist_ok=True)
            (path / script).write_text(STUB.replace("{closing}", CLOSING))
            (path / script).chmod(0o755)
        (path / "codes").mkdir()
        shutil.copy(ROOT / ".ci" / "run", path / ".ci" / "run")
        self.put_on_trial()

    def put_on_trial(self, *names: str) -> None:
        """Replace the list of checks whose failure is only reported."""
        script = self.path / ".ci" / "run"
        before = script.read_text()
        listed = " ".join(f'"{name}"' for name in names)
        after = re.sub(r"^readonly trial=\(.*\)$", f"readonly trial=({listed})", before, flags=re.MULTILINE)
        assert "readonly trial=(" in after
        script.write_text(after)

    def ends_with(self, step: str, *codes: int | str) -> None:
        """Set the exit codes of the next calls of a step; later calls end with 0."""
        (self.path / "codes" / step).write_text("".join(f"{code}\n" for code in codes))

    def start(self) -> subprocess.Popen[str]:
        environment = {"PATH": f"{self.path / 'bin'}:{os.defpath}"}
        return subprocess.Popen([self.path / ".ci" / "run"], env=environment, stdout=subprocess.PIPE, text=True)

    def run(self) -> tuple[int, list[str]]:
        """Return the exit code and the lines of the output."""
        with self.start() as process:
            output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output.splitlines()

    def calls(self) -> list[str]:
        log = self.path / "calls"
        return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_run_passes_if_every_check_passes(checkout: Checkout) -> None:
    code, lines = checkout.run()
    assert code == 0
    assert checkout.calls() == ["test", "audit", "clock", "rabbitmq4", "pgbouncer", "compose", "chaos"]
    assert lines[-2] == "backchat: passed: tests, audit, clock, RabbitMQ 4, PgBouncer, composed stack, faults"
    assert lines[-1] == CLOSING


@pytest.mark.parametrize(
    ("step", "name"),
    [("rabbitmq4", "RabbitMQ 4"), ("pgbouncer", "PgBouncer"), ("compose", "composed stack"), ("chaos", "faults")],
)
def test_run_fails_if_a_check_fails_twice(checkout: Checkout, step: str, name: str) -> None:
    checkout.ends_with(step, 1, 1)
    code, lines = checkout.run()
    assert code == 1
    assert f"backchat: FAILED: {name}" in lines
    assert lines[-1] == CLOSING


def test_failure_of_a_check_on_trial_is_only_reported(checkout: Checkout) -> None:
    checkout.put_on_trial("composed stack", "faults")
    checkout.ends_with("compose", 1, 1)
    code, lines = checkout.run()
    assert code == 0
    assert "backchat: FAILED, on trial: composed stack" in lines
    assert lines[-1] == CLOSING


def test_run_passes_if_the_second_try_passes_and_says_so(checkout: Checkout) -> None:
    checkout.ends_with("compose", 1)
    code, lines = checkout.run()
    assert code == 0
    assert checkout.calls().count("compose") == 2
    assert "backchat: passed: tests, audit, clock, RabbitMQ 4, PgBouncer, faults, composed stack (second try)" in lines


def test_run_names_checks_that_cannot_be_started_in_one_line(checkout: Checkout) -> None:
    checkout.ends_with("rabbitmq4", 75)
    checkout.ends_with("compose", 75)
    code, lines = checkout.run()
    assert code == 0
    [line] = [line for line in lines if line.startswith("backchat: could not be started here: ")]
    assert line.endswith("RabbitMQ 4 (not on this machine), composed stack (not on this machine)")


def test_failed_tests_fail_the_run_after_a_second_try(checkout: Checkout) -> None:
    checkout.ends_with("test", 2, 2)
    code, lines = checkout.run()
    assert code == 1
    assert checkout.calls() == ["test", "test", "audit"]
    assert "backchat: FAILED: tests" in lines


def test_term_ends_the_running_step(checkout: Checkout) -> None:
    checkout.ends_with("audit", "wait")
    with checkout.start() as run:
        wait_until(lambda: "audit" in checkout.calls(), PATIENCE)
        run.send_signal(signal.SIGTERM)
        assert run.wait(PATIENCE) == 143
    assert checkout.calls() == ["test", "audit"]
