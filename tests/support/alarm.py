"""Hooks that end what pytest-timeout cannot: its alarm rings once, and never again after a test has failed.

An exception that a signal raises within an asyncio task is the end of that task, not of the test; and pytest-timeout
takes its alarm away when a test fails, for a debugger's sake, so that a teardown which then hangs would hang for ever.
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
TEARDOWN: Final = 120.0  # seconds; a stack of seven processes and two servers stops on a busy machine


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Let the alarm ring again and again while the fixtures are set up."""
    with _again():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let the alarm ring again and again while the test runs."""
    with _again():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Set an alarm for the teardown, whatever became of the test."""

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
    """Collect no garbage while a report is made.

    What a collected task says of its exception is formatted with `ast.parse`, as the report is, and on Python 3.11 the
    one within the other ends in a SystemError that ends the whole run (CPython issue 106905).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@contextlib.contextmanager
def _again() -> Iterator[None]:
    """Repeat an alarm that is set; not beyond this, for it must not interrupt pytest itself."""
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    due = time.monotonic() + left
    if left:
        signal.setitimer(signal.ITIMER_REAL, left, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(0.0, due - time.monotonic()))
