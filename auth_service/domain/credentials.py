"""Credentials of an account."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """The data that a login is checked against.

    An empty `passcode_hash` means that the account has no passcode: it belongs to a guest, or logs in through an
    OpenID provider or through the `service` that has created it. `version` increases when the passcode, the roles or
    the disabled flag change, and on deletion.
    """

    user_id: str
    roles: tuple[str, ...]
    passcode_hash: str
    version: int
    disabled: bool = False
    service: str | None = None
