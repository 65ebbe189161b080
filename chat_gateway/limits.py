"""Rate limits: token buckets, pure; the clock is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class TokenBucket:
    """`burst` tokens at once, `rate` tokens a second after that. Times are seconds of any monotonic clock."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = field(init=False, default=None)

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
        return (1.0 - self._tokens) / self.rate

    def is_full(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        return self._at is None or self._tokens + (now - self._at) * self.rate >= self.burst
