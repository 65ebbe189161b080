"""Events about accounts, which auth publishes through its outbox."""

from __future__ import annotations

from typing import ClassVar

from shared.contracts.payload import Payload, Timestamp


class UserDeleted(Payload):
    """An account was deleted permanently. Consumers erase the data that they store about the user."""

    TYPE: ClassVar[str] = "backchat.user.deleted.v1"

    user_id: str
    deleted_at: Timestamp


ACCOUNT_EVENTS: tuple[type[Payload], ...] = (UserDeleted,)
