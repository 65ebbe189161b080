"""Invites: random secrets that contain the id of their session. Persistence stores only their hash. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from uuid import UUID

SECRET_BYTES = 32  # 256 bits
_INVITE = re.compile(r"[A-Za-z0-9_-]{64}")  # base64url (RFC 4648, section 5) of 48 bytes: no padding, one spelling


def compose(session_id: UUID, secret: bytes) -> str:
    """Return the invite of a session; `secret` must be `SECRET_BYTES` random bytes."""
    return base64.urlsafe_b64encode(session_id.bytes + secret).decode()


def session_of(invite: str) -> UUID | None:
    """Return the session of an invite, or `None` if the text is not an invite."""
    if _INVITE.fullmatch(invite) is None:
        return None
    return UUID(bytes=base64.urlsafe_b64decode(invite)[:-SECRET_BYTES])


def digest(invite: str) -> str:
    """Return the SHA-256 of an invite in hexadecimal. The secret is random, so no salt is needed."""
    return hashlib.sha256(invite.encode()).hexdigest()
