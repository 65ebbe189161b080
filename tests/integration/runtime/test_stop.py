"""The watchdog of stops: a stop that hangs is ended by force and logged; a slow one is not."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.ports import free_port

PROGRAM = """
import asyncio, sys, threading, time
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from shared.runtime import stop_watchdog
from shared.runtime.process import Assembly, run
from shared.runtime.service import Service, Tasks

hangs = sys.argv[2]
if hangs != "nothing":
    stop_watchdog.STOP_WITHIN = 1.0

async def deaf():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

@asynccontextmanager
async def lifespan():
    async with Tasks() as tasks:
        if hangs == "task":
            tasks.start("deaf", deaf())
        if hangs == "thread":
            threading.Thread(target=time.sleep, args=(3600,), name="asleep").start()
        yield tasks

async def assemble(stack):
    return Assembly([Service("it", lifespan, lambda: [])], Starlette())

run(assemble, host="127.0.0.1", port=int(sys.argv[1]), announce=lambda address: print("up", flush=True))
print("limits:", sum(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
"""


@pytest.mark.parametrize(
    ("hangs", "code", "told"), [("task", 1, "deaf"), ("thread", 1, "asleep"), ("nothing", 0, "limits: 1\n")]
)
def test_stop_ends_within_its_time_limit(hangs: str, code: int, told: str) -> None:
    """The log names the hanging part; one time limit applies to all steps together."""
    command = [sys.executable, "-c", PROGRAM, str(free_port()), hangs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "up" not in (line := process.stdout.readline()):
            assert line, "it ended"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=50)
    assert process.returncode == code
    assert ("stop.timed_out" in output) == bool(code)
    assert told in output
