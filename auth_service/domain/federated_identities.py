"""Identities at an OpenID provider, and the ids that new accounts get from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

ID_MAX = 48  # characters of a name; the rest of the 64 is for a suffix
NO_ID = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at the provider; `name`: what they would like to be called, if it says."""

    issuer: str
    subject: str
    name: str | None


def suggested(name: str | None) -> str:
    """A valid id from what somebody is called elsewhere; the part before the `@` of an address."""
    plain = NO_ID.sub("-", (name or "").partition("@")[0].lower()).strip("-._")
    return plain[:ID_MAX] or "user"
