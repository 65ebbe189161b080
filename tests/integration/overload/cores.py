"""Separate cores for the load generator, so that its cost is not measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def generator_apart(start: Callable[[], object]) -> Iterator[None]:
    """Run `start`, whose processes get all cores but the last; in the block this thread has the last one.

    With a single core everything shares it.
    """
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, cores[:-1] or cores)
        start()
        os.sched_setaffinity(0, cores[-1:])
        yield
    finally:
        os.sched_setaffinity(0, cores)
