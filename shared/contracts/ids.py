"""Ids derived from idempotency keys of clients, so that a repeated request has the same id."""

from __future__ import annotations

import zlib
from uuid import UUID, uuid4, uuid5

NAMESPACE = UUID("6f1a7d0e-3c52-4d0b-9a55-0b7c1b7e4a10")


def session_id(user_id: str, client_request_id: str | None) -> UUID:
    """Return the UUIDv5 (RFC 9562) of user and `client_request_id`, or a random UUID without one."""
    if client_request_id is None:
        return uuid4()
    return uuid5(NAMESPACE, f"session/{user_id}/{client_request_id}")


def message_id(session: UUID, user_id: str, client_message_id: str | None) -> UUID:
    """Return the UUIDv5 of session, user and `client_message_id`, or a random UUID without one."""
    if client_message_id is None:
        return uuid4()
    return uuid5(NAMESPACE, f"message/{session}/{user_id}/{client_message_id}")


def partition(session: UUID, partitions: int) -> int:
    """Return the partition of `chat.log` for a session's commands, 0 … `partitions` - 1."""
    return session.int % partitions


def bucket(user_id: str, partitions: int) -> int:
    """Return the delivery bucket of a user, 0 … `partitions` - 1."""
    return zlib.crc32(user_id.encode()) % partitions
