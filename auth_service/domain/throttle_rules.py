"""How much guessing is allowed (pure rules): some failures for nothing, then waits that double.

A tally belongs to what is counted: an account from an address, an address, an account. What was begun and has not
ended counts as `pending`, so that many guesses at once are no way around the count of those that failed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

PENDING_FOR = timedelta(seconds=30)  # what has not ended by then never will: its process is gone
PENDING_WAIT = 1.0  # seconds
DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class Budget:
    """What one tally may hold. Times in seconds."""

    free: int  # failures that cost nothing
    forget_every: float  # one failure is forgotten in that time
    wait_max: float
    pending_max: int = 1_000_000


class Outcome(Enum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Counted:
    """One tally by its key (32 bytes), and what it may hold."""

    key: bytes
    budget: Budget


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted up to `updated_at`."""

    updated_at: datetime
    failures: float = 0.0
    pending: int = 0
    blocked_until: datetime | None = None
    succeeded_at: datetime | None = None


def aged(tally: Tally, budget: Budget, now: datetime) -> Tally:
    """The tally as it is now. Clocks of replicas differ a little; time never runs backwards here."""
    passed = max(now - tally.updated_at, timedelta(0))
    failures = max(0.0, tally.failures - passed.total_seconds() / budget.forget_every)
    pending = tally.pending if passed < PENDING_FOR else 0
    return replace(tally, updated_at=max(now, tally.updated_at), failures=failures, pending=pending)


def wait(tally: Tally, budget: Budget, now: datetime) -> float:
    """Seconds until another attempt is allowed; 0: now."""
    if tally.blocked_until is not None and tally.blocked_until > now:
        return (tally.blocked_until - now).total_seconds()
    return PENDING_WAIT if tally.pending >= budget.pending_max else 0.0


def begun(tally: Tally) -> Tally:
    """With one attempt more that has not ended."""
    return replace(tally, pending=tally.pending + 1)


def ended(tally: Tally) -> Tally:
    """With one attempt less of which nothing came, good or bad."""
    return replace(tally, pending=max(0, tally.pending - 1))


def failed(tally: Tally, budget: Budget, now: datetime) -> Tally:
    """With one failure more, and a wait where it was one too many: 1 s, 2 s, 4 s, …"""
    failures = tally.failures + 1
    surplus = math.ceil(failures - budget.free)  # what is forgotten is a fraction mostly
    if surplus < 1:
        return replace(tally, failures=failures)
    seconds = min(budget.wait_max, 2.0 ** min(surplus - 1, DOUBLINGS_MAX))
    return replace(tally, failures=failures, blocked_until=now + timedelta(seconds=seconds))


def succeeded(tally: Tally, now: datetime) -> Tally:
    """Forgiven, and known from now on."""
    return replace(tally, failures=0.0, blocked_until=None, succeeded_at=now)
