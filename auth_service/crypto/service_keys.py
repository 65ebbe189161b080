"""Keys of services: `bck_` and 256 random bits. Only their hashes are stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from auth_service.domain.services import KEYS_MAX, ServiceKey

PREFIX = "bck_"  # by which scanners for leaked secrets find a key
NO_HASH = bytes(32)


def new_key() -> str:
    """Return a new key, URL-safe."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """Return the SHA-256 hash that is stored (32 bytes); 256 random bits need neither salt nor a slow hash."""
    return hashlib.sha256(key.encode()).digest()


def matching(presented: str, keys: Sequence[ServiceKey]) -> ServiceKey | None:
    """Return the key that was presented.

    The number of comparisons does not depend on the number of keys, and each takes constant time.
    """
    hashed, found = digest(presented), None
    for key in keys:
        if hmac.compare_digest(key.hash, hashed):
            found = key
    for _ in range(KEYS_MAX - len(keys)):
        hmac.compare_digest(NO_HASH, hashed)
    return found
