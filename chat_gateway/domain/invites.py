"""Invites: unguessable secrets that name their session; only their hash leaves the gateway. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from uuid import UUID

SECRET_BYTES = 32  # 256 bits
_INVITE = re.compile(r"[A-Za-z0-9_-]{64}")  # base64url (RFC 4648, section 5) of 48 bytes: no padding, one spelling


def compose(session_id: UUID, secret: bytes) -> str:
    """The invite of a session; `secret` are `SECRET_BYTES` random bytes."""
    return base64.urlsafe_b64encode(session_id.bytes + secret).decode()


def session_of(invite: str) -> UUID | None:
    """The session that an invite names, or `None` if it is none."""
    if _INVITE.fullmatch(invite) is None:
        return None
    return UUID(bytes=base64.urlsafe_b64decode(invite)[:-SECRET_BYTES])


def digest(invite: str) -> str:
    """What is kept of an invite: its SHA-256, hexadecimal. The secret is random, so it needs no salt."""
    return hashlib.sha256(invite.encode()).hexdigest()
