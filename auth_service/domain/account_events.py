"""Events that auth publishes about accounts."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.accounts import UserDeleted
from shared.contracts.envelope import Event
from shared.contracts.payload import rfc3339

SOURCE = "auth_service"


def user_deleted(user_id: str, deleted_at: datetime) -> Event:
    """Build the event that an account was deleted."""
    at = rfc3339(deleted_at)
    return Event(source=SOURCE, data=UserDeleted(user_id=user_id, deleted_at=at), time=at)
