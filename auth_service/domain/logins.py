"""Logins and the tokens that they are given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from auth_service.domain.refresh_rotation import Verdict
from auth_service.domain.users import User

DEVICE_MAX = 200  # characters


@dataclass(frozen=True, slots=True)
class Session:
    """A verified bearer: who it is, by which login."""

    user: User
    sid: str


@dataclass(frozen=True, slots=True)
class Login:
    """One login as its owner may see it. `device` is what the client said of itself."""

    sid: str
    user_id: str
    device: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime  # of its refresh token


@dataclass(frozen=True, slots=True)
class Issue:
    """Tokens about to be given: what is stored of them. `refresh_hash` has 32 bytes."""

    refresh_hash: bytes
    at: datetime
    access_expires_at: datetime
    refresh_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of a refresh token, and whose it was."""

    verdict: Verdict
    sid: str
    user_id: str
    roles: tuple[str, ...]
    refresh_expires_at: datetime  # of the successor


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives; lifetimes in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


def device(user_agent: str | None) -> str | None:
    """What is kept of a user agent: what can be shown, of a sane length."""
    shown = "".join(character for character in user_agent or "" if character.isprintable())
    return shown[:DEVICE_MAX].strip() or None
