"""SIGHUP reloads the configuration, or stops a process that has none or whose terminal was closed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.ports import free_port

PROGRAM = """
import sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from shared.runtime.process import Assembly, run
from shared.runtime.service import Service, Tasks

@asynccontextmanager
async def lifespan():
    async with Tasks() as tasks:
        yield tasks

def reload():
    print("reloaded", flush=True)

async def assemble(stack):
    hook = reload if sys.argv[2] == "hook" else None
    return Assembly([Service("it", lifespan, lambda: [], reload=hook)], Starlette())

run(assemble, host="127.0.0.1", port=int(sys.argv[1]), announce=lambda address: print("up", flush=True))
print("ended", flush=True)
"""


@contextmanager
def running(hook: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM, str(free_port()), hook]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=stdin, stdout=pipe, text=True, start_new_session=True) as process:
        assert said(process, "up")
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], what: str) -> bool:
    """Whether the process prints `what` before it ends."""
    assert process.stdout is not None
    return any(what in line for line in iter(process.stdout.readline, ""))


def test_each_sighup_reloads_the_configuration() -> None:
    """The process keeps serving; SIGTERM ends it."""
    with running("hook") as process:
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert said(process, "reloaded")
        process.send_signal(signal.SIGTERM)
        assert said(process, "ended")
        assert process.wait(10) == 0


def test_sighup_stops_a_service_without_reload() -> None:
    """The process ends with 0."""
    with running("none") as process:
        process.send_signal(signal.SIGHUP)
        assert said(process, "ended")
        assert process.wait(10) == 0


def test_sighup_of_a_closed_terminal_stops_the_process() -> None:
    """A closed terminal sends the same signal, and the process must end with it; an open one means reload."""
    ours, theirs = pty.openpty()
    with running("hook", theirs) as process:
        os.close(theirs)
        process.send_signal(signal.SIGHUP)
        assert said(process, "reloaded")
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert said(process, "ended")
        assert process.wait(10) == 0
