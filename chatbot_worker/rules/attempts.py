"""Numbers the attempts at a turn. Pure."""

from __future__ import annotations

from collections.abc import Callable

CRASHES_MAX = 10  # deliveries without an acknowledgement; restarts of the broker count too
STARTS = 1_000  # attempt numbers of one start


def attempt_number(starts: int, retry: int, attempts: int, draw: Callable[[int], int]) -> int:
    """Return the `attempt` of one run: 1,000 for each of `starts`, plus a random part below 1,000.

    Each start has a higher number than all earlier ones, and each retry a higher one than the retries before it. Two
    workers that run the same turn draw different numbers (with high probability).

    Args:
        starts: publications and deliveries of the turn so far, this one included.
        retry: 0 for the first run of this start.
        attempts: maximum runs of a start; each draws from its part of the thousand.
        draw: returns a random integer below its argument.
    """
    width = STARTS // attempts
    return STARTS * starts + width * retry + draw(width)
