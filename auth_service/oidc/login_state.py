"""What a browser carries between the two halves of a login by a provider: a short-lived cookie, signed by us.

It holds what must come back unchanged (`state`), what the ID token must say (`nonce`) and what proves to the token
endpoint that the same browser began (`verifier`, PKCE); so no replica keeps anything.
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
class Pending:
    """A login that was begun. `target`: where on this site to go afterwards."""

    state: str
    nonce: str
    verifier: str
    target: str
    expires_at: int  # seconds since 1970

    @classmethod
    def new(cls, target: str) -> Pending:
        """With fresh secrets of 256 bits."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, target, int(time.time()) + LIFETIME)

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (RFC 7636, S256)."""
        return _encoded(hashlib.sha256(self.verifier.encode()).digest())


def sealed(pending: Pending, key: bytes) -> str:
    """The cookie's value."""
    body = _encoded(json.dumps(asdict(pending)).encode())
    return f"{body}.{_mac(body, key)}"


def opened(cookie: str, key: bytes) -> Pending | None:
    """What was sealed, unless it was changed or its time is over."""
    body, _, mac = cookie.partition(".")
    if len(cookie) > COOKIE_MAX or not cookie.isascii() or not hmac.compare_digest(mac, _mac(body, key)):
        return None
    try:
        pending = Pending(**json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
    except (ValueError, TypeError, binascii.Error):
        return None
    return pending if pending.expires_at > time.time() else None


def local(target: str | None, default: str) -> str:
    """A path of this site, whatever was asked for: a login page must not send people elsewhere."""
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\") or not target.isprintable():
        return default
    return target if len(target) <= 512 and target.isascii() and "\\" not in target else default


def _mac(body: str, key: bytes) -> str:
    return _encoded(hmac.digest(key, body.encode(), "sha256"))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
