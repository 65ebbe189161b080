"""A circuit breaker: a chatbot whose tries fail in a row is not tried for some time. Pure."""

from __future__ import annotations

from collections.abc import Callable

from shared.backoff import Backoff

PAUSE_MAX = 120.0  # seconds


class CircuitBreaker:
    """Opens after a number of failed tries in a row. Then one try at a time, the probe, is admitted after a pause.

    A probe that succeeds closes it; each probe that fails doubles the pause. Each admitted try must end with exactly
    one call of `succeeded`, `failed` or `undecided`.

    Args:
        failures: failed tries in a row that open it.
        pause: seconds from the opening to the first probe.
        clock: returns the time in seconds.
    """

    def __init__(self, failures: int, pause: float, clock: Callable[[], float]) -> None:
        self._failures = failures
        self._backoff = Backoff(pause, PAUSE_MAX, jitter=0)
        self._clock = clock
        self._in_a_row = 0
        self._until = 0.0  # time of the clock from which a probe is admitted
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether only probes are admitted."""
        return self._in_a_row >= self._failures

    def admits(self) -> bool:
        """Return whether a try may start now. In an open circuit that try is the probe."""
        if not self.open:
            return True
        if self._probing or self._clock() < self._until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Report that the chatbot answered."""
        self._in_a_row = 0
        self._backoff.reset()
        self._probing = False

    def failed(self) -> None:
        """Report a failure that was not caused by the content of the turn."""
        was_open, self._in_a_row = self.open, self._in_a_row + 1
        if self.open and (self._probing or not was_open):
            self._until = self._clock() + self._backoff.next()
        self._probing = False

    def undecided(self) -> None:
        """Report a try that ended without a result, for example because a user stopped it."""
        self._probing = False
