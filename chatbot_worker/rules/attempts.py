"""The numbers of the attempts at a turn. Pure."""

from __future__ import annotations

from collections.abc import Callable

CRASHES_MAX = 10  # deliveries without an acknowledgement; restarts of the broker count too, hence generous
STARTS = 1_000  # attempt numbers of one start


def attempt_number(starts: int, retry: int, attempts: int, draw: Callable[[int], int]) -> int:
    """The `attempt` of one run: 1000 for each of `starts`, plus a random part below 1000.

    Two workers that run one turn draw apart; each new start is higher than all before it. So is each
    retry inside a start: it draws from its own slice of the thousand, ascending, and stays below the next start.

    Args:
        starts: publications and deliveries of the turn so far, this one included.
        retry: 0 for the first run of this start.
        attempts: runs that a start may have.
        draw: a random integer below its argument.
    """
    width = STARTS // attempts
    return STARTS * starts + width * retry + draw(width)
