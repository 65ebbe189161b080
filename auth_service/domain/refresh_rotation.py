"""The rotation of refresh tokens: what to do with a token that a client presents (contract.md §1.3).

A token is exchanged for its successor once. A client that lost the answer presents the same token again and receives
the same successor: within `GRACE`, and only until the successor itself has been presented, which proves that it
arrived. Any other repeated use means that two clients hold the token, which may be stolen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token of an active login. `successor_unused`: its successor exists and has never been presented."""

    expires_at: datetime
    rotated_at: datetime | None
    successor_unused: bool


class Verdict(Enum):
    """What to do with a presented refresh token."""

    ROTATE = "store the successor and return it"
    REPEAT = "return the same successor again"
    EXPIRED = "refuse the token"
    REUSED = "refuse the token and revoke its login"


def judge(token: Presented, now: datetime) -> Verdict:
    """Return the verdict on a token. `now` may be before `rotated_at` if the clocks of two replicas differ."""
    if token.rotated_at is not None:
        in_time = now - token.rotated_at <= GRACE
        return Verdict.REPEAT if in_time and token.successor_unused else Verdict.REUSED
    return Verdict.ROTATE if now < token.expires_at else Verdict.EXPIRED
