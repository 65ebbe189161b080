"""Events of accounts: what auth tells the owners of other data, through its outbox."""

from __future__ import annotations

from typing import ClassVar

from shared.contracts.payload import Payload, Timestamp


class UserDeleted(Payload):
    """An account is gone for ever; whoever keeps something of that user's erases it."""

    TYPE: ClassVar[str] = "backchat.user.deleted.v1"

    user_id: str
    deleted_at: Timestamp


ACCOUNT_EVENTS: tuple[type[Payload], ...] = (UserDeleted,)
