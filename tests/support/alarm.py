"""Hooks for timeouts that pytest-timeout misses: its alarm fires once, and never after a test has failed.

An exception that a signal handler raises inside an asyncio task ends that task, but not the test. And pytest-timeout
cancels its alarm when a test fails, for debuggers, so that a hanging teardown would hang without limit.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import time
from collections.abc import Generator, Iterator
from typing import Final

import pytest

AGAIN: Final = 30.0  # seconds
TEARDOWN: Final = 120.0  # seconds; seven processes and two servers stop in that time on a busy machine


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Repeat the alarm during the setup."""
    with _again():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Repeat the alarm during the test."""
    with _again():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Set an alarm for the teardown, after passed and failed tests."""

    def ring(*_: object) -> None:
        pytest.fail(f"the teardown took over {TEARDOWN:g} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, TEARDOWN, AGAIN)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, object, object]:
    """Disable garbage collection while a report is made.

    The report is formatted with `ast.parse`. A collected task with an unretrieved exception calls `ast.parse` too, and on
    Python 3.11 the nested call raises a SystemError that ends the whole run (CPython issue 106905).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@contextlib.contextmanager
def _again() -> Iterator[None]:
    """Repeat a pending alarm inside the block only, since it must not interrupt pytest itself."""
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    due = time.monotonic() + left
    if left:
        signal.setitimer(signal.ITIMER_REAL, left, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(0.0, due - time.monotonic()))
