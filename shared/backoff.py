"""Exponential backoff with jitter, for retries and reconnect loops. Pure: the caller sleeps."""

from __future__ import annotations

import random

DOUBLINGS_MAX = 32  # keeps the power of two in range, however long a server is away


class Backoff:
    """Computes the delays between failed tries: doubled with each failure in a row, up to a maximum.

    `jitter` is the random share of each delay, so that many clients do not retry in step. With 0 every delay is
    exact, with 0.5 it lies between one half and the whole, with 1 ("full jitter") between 0 and the whole.
    """

    def __init__(self, first: float, longest: float, *, jitter: float = 0.5) -> None:
        """Takes the first and the longest delay, in seconds."""
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._failures = 0

    def next(self) -> float:
        """Count one more failure and return the seconds to wait before the next try."""
        whole = min(self._longest, self._first * 2.0 ** min(self._failures, DOUBLINGS_MAX))
        self._failures += 1
        return whole * (1 - self._jitter * random.random())  # noqa: S311 - spreads load, protects no secret

    def reset(self) -> None:
        """Start again at the first delay, after a success."""
        self._failures = 0
