"""A log that is not taken never stops a process: lines above a bound are dropped and counted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from shared.runtime.log_writer import LINES_MAX
from tests.support.stack import ROOT
from tests.support.waiting import wait_until

LINES = 2 * LINES_MAX
PROGRAM = f"""
import sys
import structlog
from shared.runtime import logs
logs.configure("tests", level="info", form="json")
logger = structlog.get_logger()
for number in range({LINES}):
    logger.info("line.written", number=number)
print("done", flush=True)
sys.stdin.readline()
logger.info("line.written", number={LINES})
"""


@contextmanager
def program(stderr: int) -> Iterator[subprocess.Popen[str]]:
    """Run the program with a log that goes to a descriptor."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def finish(process: subprocess.Popen[str]) -> None:
    """Let the program write its last line."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def read_all(file: IO[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in file]


def test_pipe_that_is_not_read_drops_lines_and_counts_them() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, program(writing) as process:
        os.close(writing)
        assert first_line(process) == "done\n", "the process went on"
        finish(process)
        events = read_all(log)
        written = [event["number"] for event in events if event["event"] == "line.written"]
        dropped = [event["lines"] for event in events if event["event"] == "log.dropped"]
        assert len(written) + sum(map(int, dropped)) == LINES + 1  # type: ignore[call-overload]
        assert sum(map(int, dropped)) > 0  # type: ignore[call-overload]
        assert written == sorted(written), "the lines that are there are in order"  # type: ignore[type-var]
        assert {event["service"] for event in events} == {"tests"}
        assert process.wait(10) == 0


def test_process_whose_log_is_never_read_ends() -> None:
    reading, writing = os.pipe()
    try:
        with program(writing) as process:
            os.close(writing)
            assert first_line(process) == "done\n"
            finish(process)
            assert process.wait(10) == 0
    finally:
        os.close(reading)


def test_pipe_that_was_closed_stops_nothing() -> None:
    reading, writing = os.pipe()
    with program(writing) as process:
        os.close(writing)
        os.close(reading)
        assert first_line(process) == "done\n"
        finish(process)
        assert process.wait(10) == 0


def test_stopped_terminal_stops_nothing() -> None:
    """As after Ctrl-S."""
    terminal, end = pty.openpty()
    try:
        termios.tcflow(end, termios.TCOOFF)
        with program(end) as process:
            assert first_line(process) == "done\n"
            finish(process)
            wait_until(lambda: process.poll() == 0, 10)
    finally:
        os.close(end)
        os.close(terminal)


@pytest.mark.parametrize("reader", ["slow", "quick"])
def test_log_that_is_read_is_complete_and_in_order(reader: str) -> None:
    """A bounded queue does not lose lines that there is time for."""
    program_text = PROGRAM.replace(f"range({LINES})", "range(3000)")
    with subprocess.Popen(
        [sys.executable, "-c", program_text],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout
        assert process.stderr
        if reader == "slow":
            assert process.stdout.readline() == b"done\n"
        events = read_all(process.stderr)
        assert [event["number"] for event in events] == [*range(3000), LINES]
