"""Identities of users at an OpenID provider, and the user ids that are derived from their names."""

from __future__ import annotations

import re
from dataclasses import dataclass

STEM_MAX = 48  # characters of the derived id; the rest of the 64 is left for a suffix
NOT_ALLOWED = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class FederatedIdentity:
    """A user at an OpenID provider. `name` is the claim from which a new account takes its id, if the token has it."""

    issuer: str
    subject: str
    name: str | None


def suggested_user_id(name: str | None) -> str:
    """Derive a valid user id from a name at the provider; of an e-mail address, the part before the `@` is used."""
    plain = NOT_ALLOWED.sub("-", (name or "").partition("@")[0].lower()).strip("-._")
    return plain[:STEM_MAX] or "user"
