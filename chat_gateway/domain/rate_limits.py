"""Rate limits: token buckets, pure; the clock is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field

GUARANTEED_SHARE = 0.25  # of the rate: what a bucket gives whatever is spent elsewhere


@dataclass(slots=True)
class TokenBucket:
    """`burst` tokens at once, `rate` tokens a second after that. Times are seconds of any monotonic clock."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = field(init=False, default=None)
    _due: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> float:
        """Take one token: 0.0, or how many seconds there is none (and none is taken)."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        wait = (1.0 - self._tokens) / self.rate
        return min(wait, self._take_least(now)) if self._tokens < 0.0 else wait

    def _take_least(self, now: float) -> float:
        """As `take`, of a bucket that others have emptied: they leave a part of the rate, or it might never fill."""
        if now < self._due:
            return self._due - now
        self._due = now + 1.0 / (self.rate * GUARANTEED_SHARE)
        self._tokens = max(-self.burst, self._tokens - 1.0)
        return 0.0

    def drain(self, tokens: float, now: float) -> None:
        """Take tokens that were spent elsewhere: below zero if they are not there, but never a whole burst below."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        self._tokens = max(-self.burst, self._tokens - tokens)

    def is_full(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        return self._at is None or self._tokens + (now - self._at) * self.rate >= self.burst


DELAY_MAX = 1.0  # seconds; who comes while so much is ahead goes with the last of it


class RateLimiter:
    """`burst` at once, then `rate` a second: tells how long to wait, and keeps that place (GCRA).

    Beyond `DELAY_MAX` it lets go faster, so that a rush is not paid for long after it.

    Source: ATM Forum, Traffic Management Specification 4.1, section 4.4.2 (virtual scheduling).
    """

    __slots__ = ("_interval", "_lead", "_next")

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1.0 / rate
        self._lead = burst / rate
        self._next = float("-inf")

    def delay(self, now: float) -> float:
        """How many seconds to wait before going on. Times are seconds of any monotonic clock."""
        self._next = min(max(self._next, now - self._lead) + self._interval, now + DELAY_MAX)
        return max(0.0, self._next - now)
