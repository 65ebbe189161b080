"""Identities of users at an OpenID provider, and the user ids that are derived from their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyascii import anyascii

from auth_service.domain.users import is_reserved

STEM_MAX = 48  # characters of the derived id; the rest of the 64 is left for a suffix
NAMELESS = "user"
NOT_ALLOWED = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class FederatedIdentity:
    """A user at an OpenID provider, with the claims of the verified ID token."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]


def suggested_user_id(id_claim: str, *sources: Mapping[str, Any]) -> str:
    """Derive a valid user id from claims; of several sources, an earlier one is preferred.

    The first usable claim is taken: `id_claim`, then `email`, then `name`.
    """
    for claim in (id_claim, "email", "name"):
        for source in sources:
            if found := plain_id(source.get(claim)):
                return found
    return NAMELESS


def plain_id(name: object) -> str:
    """Transliterate a name to a user id, or to "" if no allowed character is left or the id is reserved.

    Of an e-mail address, the part before the `@` is used.
    """
    if not isinstance(name, str):
        return ""
    local = name.strip().partition("@")[0][:STEM_MAX]
    found = NOT_ALLOWED.sub("-", anyascii(local).lower())[:STEM_MAX].strip("-._")
    return "" if is_reserved(found) else found
