"""Revoked logins, keys and tokens of services, whose access tokens have not expired yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """A login revoked `at` a moment. After `until`, all of its access tokens have expired.

    `sid` may also be the id of a service's key, or the `jti` of a single access token of a service.
    """

    sid: str
    at: datetime
    until: datetime
