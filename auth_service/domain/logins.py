"""Logins, the tokens that they receive, and the authenticated user behind a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from auth_service.domain.refresh_rotation import Verdict
from auth_service.domain.users import User

DEVICE_MAX = 200  # characters


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user and the login (`sid`) whose access token was presented."""

    user: User
    sid: str


@dataclass(frozen=True, slots=True)
class Login:
    """One login as its owner sees it. `device` is derived from the client's `User-Agent` header.

    `service` is the service that lends the login, if one does.
    """

    sid: str
    user_id: str
    device: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime  # of its newest refresh token
    service: str | None = None


@dataclass(frozen=True, slots=True)
class TokenIssue:
    """The stored data of one pair of access and refresh token. `refresh_hash` has 32 bytes."""

    refresh_hash: bytes
    at: datetime
    access_expires_at: datetime
    refresh_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """The verdict on a presented refresh token, with the user and the login to which it belongs."""

    verdict: Verdict
    sid: str
    user_id: str
    roles: tuple[str, ...]
    refresh_expires_at: datetime  # of the successor
    service: str | None = None  # that lends the login


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a client receives, with their lifetimes in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


def device_label(user_agent: str | None) -> str | None:
    """Return the printable characters of a user agent, at most `DEVICE_MAX`, or `None` if there are none."""
    printable = "".join(character for character in user_agent or "" if character.isprintable())
    return printable[:DEVICE_MAX].strip() or None
