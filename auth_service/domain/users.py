"""Users: the syntax of ids, the roles, and the account that its owner sees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

USER_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROLES = ("user",)  # of a new account
ADMIN = ("user", "admin")
GUEST = ("guest",)


@dataclass(frozen=True, slots=True)
class User:
    """An account without its credentials."""

    id: str
    created_at: datetime
    roles: tuple[str, ...]


def parse_user_id(raw: str) -> str:
    """Return an id in lower case, the form in which ids are stored, compared and shown.

    Raises:
        ValueError: the text is not a user id. The message is the end of a sentence about the field.
    """
    if not USER_ID.fullmatch(raw):
        raise ValueError("must have 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")
    return raw.lower()
