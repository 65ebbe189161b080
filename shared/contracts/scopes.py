"""The scopes of services: what a service may do. Users have no scopes and are limited by their memberships only."""

from __future__ import annotations

from collections.abc import Collection

CHAT = "chat"  # what a user may
TRANSCRIPTS = "transcripts"  # read and follow any session
SESSIONS = "sessions"  # the same, and messages, stops, regenerations and edits of its own messages in any session
USERS = "users"  # accounts of the service's own making


def may_chat(scopes: Collection[str] | None) -> bool:
    """Whether these scopes allow what a user may; `None`, of a user, does."""
    return scopes is None or CHAT in scopes


def may_read_all(scopes: Collection[str] | None) -> bool:
    """Whether a service with these scopes may read every session; `None` for a user."""
    return scopes is not None and (TRANSCRIPTS in scopes or SESSIONS in scopes)


def may_act_in_all(scopes: Collection[str] | None) -> bool:
    """Whether a service with these scopes may write in every session; `None` for a user."""
    return scopes is not None and SESSIONS in scopes
