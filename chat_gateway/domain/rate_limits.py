"""Rate limits: a token bucket that refuses, and a limiter that delays. Pure; callers pass the time."""

from __future__ import annotations

from dataclasses import dataclass, field

GUARANTEED_SHARE = 0.25  # of the rate, granted even if other gateways have drained the bucket


@dataclass(slots=True)
class TokenBucket:
    """A bucket of `burst` tokens that is refilled with `rate` tokens per second. Times are monotonic seconds."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = field(init=False, default=None)
    _due: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> float:
        """Take one token and return 0.0, or take none and return the seconds until there is one."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        wait = (1.0 - self._tokens) / self.rate
        return min(wait, self._take_least(now)) if self._tokens < 0.0 else wait

    def _take_least(self, now: float) -> float:
        """Take one token of the guaranteed share from a bucket below zero, which might otherwise never fill."""
        if now < self._due:
            return self._due - now
        self._due = now + 1.0 / (self.rate * GUARANTEED_SHARE)
        self._tokens = max(-self.burst, self._tokens - 1.0)
        return 0.0

    def drain(self, tokens: float, now: float) -> None:
        """Take tokens that were spent on another gateway; the bucket falls at most `burst` tokens below zero."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        self._tokens = max(-self.burst, self._tokens - tokens)

    def is_full(self, now: float) -> bool:
        """Whether the bucket is full, so that a new one could replace it."""
        return self._at is None or self._tokens + (now - self._at) * self.rate >= self.burst


DELAY_MAX = 1.0  # seconds; calls that would be delayed for longer are delayed by this much


class RateLimiter:
    """Delays calls so that after a `burst` they proceed at `rate` per second (GCRA).

    No delay exceeds `DELAY_MAX`: in a long rush the rate is exceeded instead, and no delay outlasts the rush.

    Source: ATM Forum, Traffic Management Specification 4.1, section 4.4.2 (virtual scheduling).
    """

    __slots__ = ("_interval", "_lead", "_next")

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1.0 / rate
        self._lead = burst / rate
        self._next = float("-inf")

    def delay(self, now: float) -> float:
        """Reserve the next slot and return the seconds until it. `now` is in monotonic seconds."""
        self._next = min(max(self._next, now - self._lead) + self._interval, now + DELAY_MAX)
        return max(0.0, self._next - now)
