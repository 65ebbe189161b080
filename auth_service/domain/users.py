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
    """An account without its credentials. `service` is the service that has created it, if one has."""

    id: str
    created_at: datetime
    roles: tuple[str, ...]
    service: str | None = None


def parse_user_id(raw: str) -> str:
    """Return an id in lower case, the form in which ids are stored, compared and shown.

    Raises:
        ValueError: the text is not a user id. The message is the end of a sentence about the field.
    """
    if not USER_ID.fullmatch(raw):
        raise ValueError("must have 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")
    return raw.lower()


def parse_new_user_id(raw: str) -> str:
    """Return the id of a new account in its stored form.

    Ids that could not stand as a segment of a URL's path are refused: dot segments (RFC 3986, section 3.3), and `me`,
    which names the caller. Accounts that have such an id already keep it.

    Raises:
        ValueError: the text is not a user id, or a reserved one. The message is the end of a sentence about the field.
    """
    user_id = parse_user_id(raw)
    if is_reserved(user_id):
        raise ValueError("must not be 'me', and must contain something other than dots")
    return user_id


def is_reserved(user_id: str) -> bool:
    """Whether no new account may have this id, which is in its stored form."""
    return user_id == "me" or not user_id.strip(".")
