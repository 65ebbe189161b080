"""Access tokens: signed, short-lived (JWT, EdDSA, RFC 9068).

Pure but for the clock and the random source. What a token says about its own verification (`alg`, `jku`, `jwk`,
`x5u`) is never followed: its `kid` picks one of our keys, and that key knows its only algorithm.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt

from auth_service.crypto.key_ring import ALGORITHM, KeyRing
from auth_service.settings import ACCESS_TOKEN_TTL_MAX
from shared.errors import TokenExpired, TokenInvalid

AUDIENCE = "backchat"
TYPE = "at+jwt"
TOKEN_MAX = 4 * 1024  # characters
CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "roles")
CLOCK_SKEW = 5  # seconds that a replica's clock may be ahead; never prolongs a token


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says: whose it is, of which login, until when (seconds since 1970)."""

    user_id: str
    sid: str
    jti: str
    roles: tuple[str, ...]
    expires_at: int


class AccessTokens:
    """Signs and verifies access tokens."""

    def __init__(self, keys: KeyRing, *, issuer: str, ttl: int) -> None:
        """`ttl` in seconds."""
        self._keys = keys
        self._issuer = issuer
        self.ttl = ttl

    def sign(self, user_id: str, sid: str, roles: Sequence[str], issued_at: float) -> str:
        """A new access token, good for `ttl` seconds from `issued_at` (seconds since 1970; cut to whole ones) on."""
        now = int(issued_at)
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": sid,
            "jti": str(uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + self.ttl,
            "roles": list(roles),
        }
        key = self._keys.signing
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": TYPE})

    def verify(self, token: object) -> Claims:
        """The claims of a token of ours.

        Raises:
            TokenExpired: genuine, but its time is over.
            TokenInvalid: anything else, whatever it is.
        """
        if not isinstance(token, str) or not token.isascii() or len(token) > TOKEN_MAX:
            raise TokenInvalid
        try:
            claims = self._decode(token)
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except Exception:  # noqa: BLE001 - bytes of a stranger: no exception of a parser may become a 500
            raise TokenInvalid from None
        if claims.expires_at <= time.time():
            raise TokenExpired
        return claims

    def _decode(self, token: str) -> Claims:
        header = jwt.get_unverified_header(token)
        key = self._keys.public(header.get("kid"))
        # PyJWT refuses what it does not know in `crit`; we use no extension at all.
        if key is None or header.get("typ") != TYPE or "crit" in header or "b64" in header:
            raise TokenInvalid
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=self._issuer,
            leeway=CLOCK_SKEW,
            options={"require": list(CLAIMS), "strict_aud": True},
        )
        return _checked(claims)


def _checked(claims: dict[str, Any]) -> Claims:
    """The claims with their types and bounds, which PyJWT leaves to us."""
    times = [claims[name] for name in ("iat", "nbf", "exp")]
    names = [claims[name] for name in ("sub", "sid", "jti")]
    roles = claims["roles"]
    if not all(type(moment) is int for moment in times):
        raise TokenInvalid
    if not all(isinstance(name, str) and name for name in names):
        raise TokenInvalid
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenInvalid
    if not 0 < claims["exp"] - claims["iat"] <= ACCESS_TOKEN_TTL_MAX:
        raise TokenInvalid
    return Claims(claims["sub"], claims["sid"], claims["jti"], tuple(roles), claims["exp"])
