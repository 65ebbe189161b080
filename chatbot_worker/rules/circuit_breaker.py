"""A circuit breaker: a chatbot that fails again and again is left alone for a while. Pure."""

from __future__ import annotations

from collections.abc import Callable

from shared.backoff import Backoff

PAUSE_MAX = 120.0  # seconds


class CircuitBreaker:
    """Closed while all is well; open after `failures` in a row; then one probe at a time decides.

    Each try asks `admits`, and ends by exactly one of `succeeded`, `failed` and `undecided`. The pause doubles
    with each probe that fails.
    """

    def __init__(self, failures: int, pause: float, clock: Callable[[], float]) -> None:
        self._failures = failures
        self._backoff = Backoff(pause, PAUSE_MAX, jitter=0)
        self._clock = clock
        self._in_a_row = 0
        self._until = 0.0  # when a probe may go
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether nobody but a probe is let through."""
        return self._in_a_row >= self._failures

    def admits(self) -> bool:
        """Whether a try may go on now; of an open circuit it is the probe."""
        if not self.open:
            return True
        if self._probing or self._clock() < self._until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The chatbot answered: all is well."""
        self._in_a_row = 0
        self._backoff.reset()
        self._probing = False

    def failed(self) -> None:
        """It did not, and not because of what it was asked."""
        was_open, self._in_a_row = self.open, self._in_a_row + 1
        if self.open and (self._probing or not was_open):
            self._until = self._clock() + self._backoff.next()
        self._probing = False

    def undecided(self) -> None:
        """The try ended without telling, as when somebody stopped it."""
        self._probing = False
