"""Refresh tokens: 256 bits, random for a new login, then each the MAC of the one before.

A successor can so be given a second time although only hashes are stored; without the server's key nobody can make
it, not even out of a stolen database together with an old token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

TOKEN_MAX = 256  # characters of what may be one


class RefreshTokens:
    """Makes tokens and what is stored of them."""

    def __init__(self, key: bytes) -> None:
        """`key` of 32 bytes, the same on all replicas."""
        self._key = key

    @staticmethod
    def new() -> str:
        """The first token of a login, URL-safe."""
        return secrets.token_urlsafe(32)

    def successor(self, token: str) -> str:
        """What a token is exchanged for: HMAC-SHA256(key, token), URL-safe."""
        mac = hmac.digest(self._key, token.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    @staticmethod
    def digest(token: str) -> bytes:
        """What is stored: SHA-256 (32 bytes)."""
        return hashlib.sha256(token.encode()).digest()
