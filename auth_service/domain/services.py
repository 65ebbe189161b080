"""Services: principals that authenticate by a key, and act within the scopes that they were granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.ids import SERVICE_PREFIX
from shared.contracts.scopes import CHAT, SESSIONS, TRANSCRIPTS, USERS

SCOPES = (CHAT, TRANSCRIPTS, SESSIONS, USERS)  # that this release enforces; no other one can be granted
KEYS_MAX = 2  # valid keys of one service, so that a key is replaced without an interruption
ROLES = ("service",)  # as `GET /me` reports them


class UnknownScope(ValueError):
    """A scope does not exist, or was not granted."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service. `key_lifetime` is that of its keys; `None`: they do not expire."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    key_lifetime: timedelta | None = None
    revoked_at: datetime | None = None

    @property
    def id(self) -> str:
        """The id under which the service acts."""
        return SERVICE_PREFIX + self.name


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key as it is stored: its id, which is the `sid` of its tokens, and its SHA-256 hash."""

    id: str
    service: str
    hash: bytes
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """An authenticated service, with the key and the token (`jti`) that it presented. `scopes` are the token's."""

    service: Service
    key_id: str
    jti: str
    scopes: tuple[str, ...]
    expires_at: datetime


def granted_scopes(requested: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """Return the requested scopes without repetitions, in the order of `allowed`.

    Raises:
        UnknownScope: one of them is not allowed.
    """
    if not set(requested) <= set(allowed):
        raise UnknownScope("the scope is unknown or not granted")
    return tuple(scope for scope in allowed if scope in requested)
