"""What becomes of a refresh token that somebody presents (contract §1; pure rules).

A token is exchanged for its successor once. Whoever did not get the answer presents it again, and gets the same
successor again: for `GRACE` seconds, and only until that successor was presented itself, because then it did arrive.
Every other second use means that two hold the same token, and nobody can tell which of them is the thief.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token of a login that still stands. `successor_waits`: its successor is there and not yet used."""

    expires_at: datetime
    rotated_at: datetime | None
    successor_waits: bool


class Verdict(Enum):
    """What to do."""

    ROTATE = "store the successor and give it"
    REPEAT = "give the same successor again"
    EXPIRED = "refuse"
    REUSED = "refuse, and revoke the whole family"


def judge(token: Presented, now: datetime) -> Verdict:
    """The verdict on a token. `now` may lie before `rotated_at` by what two replicas' clocks differ."""
    if token.rotated_at is not None:
        in_time = now - token.rotated_at <= GRACE
        return Verdict.REPEAT if in_time and token.successor_waits else Verdict.REUSED
    return Verdict.ROTATE if now < token.expires_at else Verdict.EXPIRED
