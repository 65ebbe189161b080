"""The state of an OpenID Connect login in progress, kept in a short-lived cookie with a MAC.

It holds the `state` that the provider must return unchanged, the `nonce` that the ID token must contain, and the PKCE
`verifier` that proves to the token endpoint that the same browser started the login. So no replica stores anything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass

LIFETIME = 600  # seconds
COOKIE_MAX = 2_048  # characters


@dataclass(frozen=True, slots=True)
class LoginState:
    """A login in progress. `target` is the path of this site to redirect to afterwards."""

    state: str
    nonce: str
    verifier: str
    target: str
    expires_at: int  # seconds since 1970

    @classmethod
    def new(cls, target: str) -> LoginState:
        """Start a login with new secrets of 256 bits."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, target, int(time.time()) + LIFETIME)

    @property
    def challenge(self) -> str:
        """The hash of the verifier that the provider receives (RFC 7636, S256)."""
        return _encoded(hashlib.sha256(self.verifier.encode()).digest())


def seal(pending: LoginState, key: bytes) -> str:
    """Return the state as the value of a cookie, with its MAC."""
    body = _encoded(json.dumps(asdict(pending)).encode())
    return f"{body}.{_mac(body, key)}"


def unseal(cookie: str, key: bytes) -> LoginState | None:
    """Return the state in a cookie, or `None` if the cookie was changed or has expired."""
    body, _, mac = cookie.partition(".")
    if len(cookie) > COOKIE_MAX or not cookie.isascii() or not hmac.compare_digest(mac, _mac(body, key)):
        return None
    try:
        pending = LoginState(**json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
    except (ValueError, TypeError, binascii.Error):
        return None
    return pending if pending.expires_at > time.time() else None


def local_path(target: str | None, default: str) -> str:
    """Return `target` if it is a path of this site, otherwise `default`: a login must not redirect to another site."""
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\") or not target.isprintable():
        return default
    return target if len(target) <= 512 and target.isascii() and "\\" not in target else default


def _mac(body: str, key: bytes) -> str:
    return _encoded(hmac.digest(key, body.encode(), "sha256"))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
