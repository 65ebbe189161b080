"""Users: the rule of ids, the roles, and the account as its owner sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROLES = ("user",)  # of a new account
ADMIN = ("user", "admin")
GUEST = ("guest",)


@dataclass(frozen=True, slots=True)
class User:
    """An account as its owner may see it."""

    id: str
    created_at: datetime
    roles: tuple[str, ...]


def parse_user_id(raw: str) -> str:
    """An id in the form in which it is stored, compared and shown.

    Raises:
        ValueError: not an id; the text says why.
    """
    if not ID.fullmatch(raw):
        raise ValueError("must have 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")
    return raw.lower()
