"""Delays before a retry. Pure."""

from __future__ import annotations

FIRST = 0.5  # seconds; doubled with each consecutive failure
LONGEST = 30.0  # seconds
SPREAD = 0.5  # jitter: at most this share is added at random, to spread the retries of many clients
RECONNECT_FIRST = 1.0  # seconds, the maximum after the first failure
RECONNECT_LONGEST = 4.0  # seconds; low, because an attempt is cheap and a user is waiting


def delay(failures: int, retry_after: float, random: float) -> float:
    """Return the seconds until the next attempt.

    Args:
        failures: consecutive failures before this one.
        retry_after: seconds that the server asked for, the minimum; 0 if it named none.
        random: a number from 0 up to 1.
    """
    doubled = min(LONGEST, FIRST * 2.0 ** min(failures, 32))
    return max(retry_after, doubled) * (1 + SPREAD * random)


def reconnect_delay(failures: int, retry_after: float, random: float) -> float:
    """Return the seconds until the next connection, random below a doubling maximum: a failed gateway has many clients.

    Args:
        failures: consecutive connections before this one that failed or broke early.
        retry_after: seconds that the server asked for (`going_away`, a refusal), the minimum.
        random: a number from 0 up to 1.
    """
    return retry_after + random * min(RECONNECT_LONGEST, RECONNECT_FIRST * 2.0 ** min(failures, 32))
