"""Revoked logins, as far as gateways must know them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revoked login; `until`: when its last access token has expired."""

    sid: str
    at: datetime
    until: datetime
