"""Events that auth publishes about accounts."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.accounts import UserDeleted
from shared.contracts.envelope import Event

SOURCE = "auth_service"


def user_deleted(user_id: str, deleted_at: datetime) -> Event:
    """Build the event that an account was deleted."""
    return Event(source=SOURCE, data=UserDeleted(user_id=user_id, deleted_at=deleted_at), time=deleted_at)
