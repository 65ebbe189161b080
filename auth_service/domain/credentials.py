"""What a user logs in with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody logs in with. An empty hash: no passcode at all. `version` grows whenever they are replaced."""

    user_id: str
    roles: tuple[str, ...]
    passcode_hash: str
    version: int
    disabled: bool = False
