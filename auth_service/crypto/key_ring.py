"""The Ed25519 keys that sign and verify access tokens, and their public halves as JWKs.

The id of a key (`kid`) is its RFC 7638 thumbprint (RFC 8037 for Ed25519). It is computed from the key, so replicas that
read the same files agree on it, and two keys never share an id.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair and its id."""

    private: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> SigningKey:
        """Build the pair of a private key."""
        return cls(private, _thumbprint(private.public_key()))

    def jwk(self) -> dict[str, str]:
        """Return the public half as a JWK (RFC 8037)."""
        return {**_jwk(self.private.public_key()), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


class KeyRing:
    """The keys of one process: one signs, all verify."""

    def __init__(self, keys: Sequence[SigningKey] = ()) -> None:
        """Take `keys` from oldest to newest, of which the last one signs. An empty ring cannot sign."""
        self._keys: dict[str, SigningKey] = {}
        self.signing: SigningKey
        if keys:
            self.replace(keys, keys[-1])

    def replace(self, keys: Sequence[SigningKey], signing: SigningKey) -> bool:
        """Replace all keys, and return whether this changed anything."""
        by_id = {key.kid: key for key in keys}
        changed = list(by_id) != list(self._keys) or signing.kid != self.signing.kid
        self._keys, self.signing = by_id, signing
        return changed

    def public(self, kid: object) -> Ed25519PublicKey | None:
        """Return the key with this id, or `None`. The id is untrusted input and is never used as a path or URL."""
        key = self._keys.get(kid) if isinstance(kid, str) else None
        return key.private.public_key() if key else None

    def jwks(self) -> dict[str, Any]:
        """Return all public keys as a JWK set (RFC 7517)."""
        return {"keys": [key.jwk() for key in self._keys.values()]}


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}


def _thumbprint(key: Ed25519PublicKey) -> str:
    canonical = json.dumps(_jwk(key), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
