"""Refresh tokens of 256 bits: the first of a login is random, each successor is a MAC of its predecessor.

So the same successor can be returned twice although only hashes are stored. Without the server's key it cannot be
computed, not even from a stolen database and an old token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

TOKEN_MAX = 256  # characters; longer values are refused unread


class RefreshTokens:
    """Creates refresh tokens and the hashes that are stored."""

    def __init__(self, key: bytes) -> None:
        """Take the MAC key of 32 bytes, the same on all replicas."""
        self._key = key

    @staticmethod
    def new() -> str:
        """Return the first token of a login, URL-safe."""
        return secrets.token_urlsafe(32)

    def successor(self, token: str) -> str:
        """Return the token that a token is exchanged for: HMAC-SHA256(key, token), URL-safe."""
        mac = hmac.digest(self._key, token.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    @staticmethod
    def digest(token: str) -> bytes:
        """Return the SHA-256 hash that is stored (32 bytes)."""
        return hashlib.sha256(token.encode()).digest()
