"""How long to wait before trying again. Pure."""

from __future__ import annotations

FIRST = 0.5  # seconds; doubled with each failure in a row
LONGEST = 30.0  # seconds
SPREAD = 0.5  # up to this part is added at random, so that many clients do not come together
RECONNECT_FIRST = 1.0  # seconds: the ceiling after the first failure
RECONNECT_LONGEST = 4.0  # seconds: low, as a try is cheap and somebody is waiting


def delay(failures: int, retry_after: float, random: float) -> float:
    """Seconds until the next try.

    Args:
        failures: failures in a row before this one.
        retry_after: what the server asked for, seconds; it is never undercut. 0: nothing.
        random: a number from 0 up to 1.
    """
    doubled = min(LONGEST, FIRST * 2.0 ** min(failures, 32))
    return max(retry_after, doubled) * (1 + SPREAD * random)


def reconnect_delay(failures: int, retry_after: float, random: float) -> float:
    """Seconds until the next connection: anywhere below a doubling ceiling, as a gateway's death hits many clients.

    Args:
        failures: connections in a row that failed, or broke soon, before this one.
        retry_after: what the server asked for (`going_away`, a refusal), seconds; it is never undercut.
        random: a number from 0 up to 1.
    """
    return retry_after + random * min(RECONNECT_LONGEST, RECONNECT_FIRST * 2.0 ** min(failures, 32))
