"""The rules of throttling: some failures are free, then each further one doubles the wait.

Failures are counted in leaky buckets: one for a pair of account and address, one for an address, one for an account.
Attempts that have started and not ended count as `pending`, so that many concurrent guesses do not evade the count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

PENDING_FOR = timedelta(seconds=30)  # an attempt that has not ended by then belongs to a process that crashed
PENDING_WAIT = 1.0  # seconds
DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one bucket. Times in seconds."""

    free: int  # failures without a wait
    forget_every: float  # the bucket loses one failure in that time
    wait_max: float
    pending_max: int = 1_000_000


class Outcome(Enum):
    """The result of an attempt to log in."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDECIDED = "undecided"  # the passcode was not compared, for example because the database was away


@dataclass(frozen=True, slots=True)
class Bucket:
    """The key of a tally (32 bytes) and its limits."""

    key: bytes
    budget: Budget


@dataclass(frozen=True, slots=True)
class Tally:
    """The content of a bucket at `updated_at`."""

    updated_at: datetime
    failures: float = 0.0
    pending: int = 0
    blocked_until: datetime | None = None
    succeeded_at: datetime | None = None


def aged(tally: Tally, budget: Budget, now: datetime) -> Tally:
    """Return the tally at `now`. If the clock of a replica is behind, no time has passed."""
    passed = max(now - tally.updated_at, timedelta(0))
    failures = max(0.0, tally.failures - passed.total_seconds() / budget.forget_every)
    pending = tally.pending if passed < PENDING_FOR else 0
    return replace(tally, updated_at=max(now, tally.updated_at), failures=failures, pending=pending)


def wait(tally: Tally, budget: Budget, now: datetime) -> float:
    """Return the seconds until another attempt is allowed; 0 means that it is allowed now."""
    if tally.blocked_until is not None and tally.blocked_until > now:
        return (tally.blocked_until - now).total_seconds()
    return PENDING_WAIT if tally.pending >= budget.pending_max else 0.0


def begun(tally: Tally) -> Tally:
    """Add one pending attempt."""
    return replace(tally, pending=tally.pending + 1)


def ended(tally: Tally) -> Tally:
    """Remove one pending attempt, without a result."""
    return replace(tally, pending=max(0, tally.pending - 1))


def failed(tally: Tally, budget: Budget, now: datetime) -> Tally:
    """Add one failure. If it exceeds the free ones, block further attempts for 1 s, 2 s, 4 s, …"""
    failures = tally.failures + 1
    surplus = math.ceil(failures - budget.free)  # aging leaves a fraction
    if surplus < 1:
        return replace(tally, failures=failures)
    seconds = min(budget.wait_max, 2.0 ** min(surplus - 1, DOUBLINGS_MAX))
    return replace(tally, failures=failures, blocked_until=now + timedelta(seconds=seconds))


def succeeded(tally: Tally, now: datetime) -> Tally:
    """Clear the failures and record the success."""
    return replace(tally, failures=0.0, blocked_until=None, succeeded_at=now)
