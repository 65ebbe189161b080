"""Access tokens of users and of services: short-lived JWTs signed with EdDSA (RFC 9068).

The audience separates them: a token is either one of a user or one of a service, never both.

The headers of a token about its own verification (`alg`, `jku`, `jwk`, `x5u`) are ignored. Its `kid` selects one of the
keys in the ring, and each of these is used with one algorithm only.
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
from shared.contracts import ids
from shared.errors import TokenExpired, TokenInvalid

AUDIENCE = "backchat"
SERVICE_AUDIENCE = "backchat-service"
TYPE = "at+jwt"
TOKEN_MAX = 4 * 1024  # characters
REQUIRED = ("iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp")
CLAIMS = (*REQUIRED, "roles")  # of a user
SERVICE_CLAIMS = (*REQUIRED, "scope", "client_id")
CLOCK_SKEW = 5  # seconds by which the clock of another replica may be ahead; does not extend a lifetime


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified access token; `expires_at` is in seconds since 1970.

    `sid` is the login of a user or the key of a service. `scopes` is `None` in the token of a user.
    """

    user_id: str
    sid: str
    jti: str
    roles: tuple[str, ...]
    expires_at: int
    scopes: tuple[str, ...] | None = None


class AccessTokens:
    """Signs and verifies access tokens."""

    def __init__(self, keys: KeyRing, *, issuer: str, ttl: int) -> None:
        """Take the lifetime `ttl` of new tokens in seconds."""
        self._keys = keys
        self._issuer = issuer
        self.ttl = ttl

    def sign(self, user_id: str, sid: str, roles: Sequence[str], issued_at: float, *, actor: str | None = None) -> str:
        """Sign a token that is valid for `ttl` seconds from `issued_at` (seconds since 1970, rounded down).

        `actor` is the id of the service that lends the login (RFC 8693, section 4.1).
        """
        now = int(issued_at)
        of_user = {"roles": list(roles)} | ({"act": {"sub": actor}} if actor else {})
        return self._signed(AUDIENCE, user_id, sid, now, now + self.ttl, of_user)

    def sign_service(self, service_id: str, key_id: str, scopes: Sequence[str], issued_at: int, expires_at: int) -> str:
        """Sign a token of a service; both times are in seconds since 1970."""
        of_service = {"scope": " ".join(scopes), "client_id": service_id.removeprefix(ids.SERVICE_PREFIX)}
        return self._signed(SERVICE_AUDIENCE, service_id, key_id, issued_at, expires_at, of_service)

    def _signed(self, audience: str, subject: str, sid: str, now: int, end: int, more: dict[str, Any]) -> str:
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": subject,
            "sid": sid,
            "jti": str(uuid4()),
            "iat": now,
            "nbf": now,
            "exp": end,
            **more,
        }
        key = self._keys.signing
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": TYPE})

    def verify(self, token: object) -> Claims:
        """Return the claims of a valid token.

        Raises:
            TokenExpired: the signature is valid, but the token has expired.
            TokenInvalid: the value is not a token of this service, of any type and content.
        """
        if not isinstance(token, str) or not token.isascii() or len(token) > TOKEN_MAX:
            raise TokenInvalid
        try:
            claims = self._decode(token)
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except Exception:  # noqa: BLE001 - untrusted input: no exception of a parser may become a 500
            raise TokenInvalid from None
        if claims.expires_at <= time.time():
            raise TokenExpired
        return claims

    def _decode(self, token: str) -> Claims:
        header = jwt.get_unverified_header(token)
        key = self._keys.public(header.get("kid"))
        # PyJWT refuses only unknown extensions in `crit`; our tokens use none.
        if key is None or header.get("typ") != TYPE or "crit" in header or "b64" in header:
            raise TokenInvalid
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=self._issuer,
            leeway=CLOCK_SKEW,
            options={"require": list(REQUIRED), "verify_aud": False},  # `_checked` compares it
        )
        return _checked(claims)


def _checked(claims: dict[str, Any]) -> Claims:
    """Check the types and bounds that PyJWT does not check."""
    times = [claims[name] for name in ("iat", "nbf", "exp")]
    names = [claims[name] for name in ("sub", "sid", "jti")]
    if not all(type(moment) is int for moment in times):
        raise TokenInvalid
    if not all(isinstance(name, str) and name for name in names):
        raise TokenInvalid
    if not 0 < claims["exp"] - claims["iat"] <= ACCESS_TOKEN_TTL_MAX:
        raise TokenInvalid
    roles, scopes = _roles_and_scopes(claims)
    return Claims(claims["sub"], claims["sid"], claims["jti"], roles, claims["exp"], scopes)


def _roles_and_scopes(claims: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return the roles of a user or the scopes of a service; audience and subject must name the same kind."""
    of_service = ids.is_service(claims["sub"])
    if claims["aud"] != (SERVICE_AUDIENCE if of_service else AUDIENCE):
        raise TokenInvalid
    if of_service:
        scope = claims["scope"]
        if not isinstance(scope, str):
            raise TokenInvalid
        return (), tuple(scope.split())
    roles = claims["roles"]
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenInvalid
    return tuple(roles), None
