"""Wait for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
EVERY = 0.01  # seconds between two looks at the condition


async def until(condition: Callable[[], T | Awaitable[T]], within: float = 20.0, *, every: float = EVERY) -> T:
    """Return the first truthy value of `condition`, plain or async, looking every `every` seconds.

    A condition may also be a function of assertions: an `AssertionError` counts as false. End a function of
    assertions with `return True`.

    Raises:
        AssertionError: the condition did not hold `within` that many seconds; the message says what was seen last.
    """
    deadline = time.monotonic() + within
    while True:
        seen: object
        try:
            value = condition()
            found = await value if inspect.isawaitable(value) else value
            if found:
                return found
            seen = found
        except AssertionError as error:
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(_missed(condition, within, seen))
        await asyncio.sleep(every)


def wait_until(condition: Callable[[], T], within: float = 20.0, *, every: float = EVERY) -> T:
    """Do what `until` does, for tests without an event loop."""
    deadline = time.monotonic() + within
    while True:
        seen: object
        try:
            found = condition()
            if found:
                return found
            seen = found
        except AssertionError as error:
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(_missed(condition, within, seen))
        time.sleep(every)


async def pause(seconds: float, _why: str) -> None:
    """Sleep. Only for a pause that is itself the load or the thing under test; `_why` says which.

    To wait for something, use `until`.
    """
    await asyncio.sleep(seconds)


def block(seconds: float, _why: str) -> None:
    """Sleep without returning to the event loop; `_why` says what the blocked thread simulates."""
    time.sleep(seconds)


def _missed(condition: Callable[[], object], within: float, seen: object) -> str:
    name = getattr(condition, "__qualname__", repr(condition))
    try:
        source = inspect.getsource(condition).strip()
    except (OSError, TypeError):
        source = name
    return f"not within {within:g} s: {source}\nlast seen: {seen!r}"
