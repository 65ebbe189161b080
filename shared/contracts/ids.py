"""Ids: those derived from idempotency keys of clients, and the ids of services."""

from __future__ import annotations

import zlib
from hashlib import sha1
from uuid import UUID, uuid4

NAMESPACE = UUID("6f1a7d0e-3c52-4d0b-9a55-0b7c1b7e4a10")
NAMESPACE_BYTES = NAMESPACE.bytes
SERVICE_PREFIX = "service:"  # of the ids of services; no user id contains a colon
VERSION_AND_VARIANT = 0xF << 76 | 0x3 << 62  # the bits of a UUID that do not come from the hash (RFC 9562, 4)
VERSION_5 = 0x5 << 76 | 0x2 << 62  # their values in a UUIDv5


def is_service(user_id: str) -> bool:
    """Return whether an id of a principal is that of a service."""
    return user_id.startswith(SERVICE_PREFIX)


def session_id(user_id: str, client_request_id: str | None) -> UUID:
    """Return the UUIDv5 (RFC 9562) of user and `client_request_id`, or a random UUID without one."""
    if client_request_id is None:
        return uuid4()
    return _derived(f"session/{user_id}/{client_request_id}")


def message_id(session: UUID | str, user_id: str, client_message_id: str | None) -> UUID:
    """Return the UUIDv5 of session (or its text), user and `client_message_id`, or a random UUID without one."""
    if client_message_id is None:
        return uuid4()
    return _derived(f"message/{session}/{user_id}/{client_message_id}")


def partition(session: UUID, partitions: int) -> int:
    """Return the partition of `chat.log` for a session's commands, 0 … `partitions` - 1."""
    return session.int % partitions


def bucket(user_id: str, partitions: int) -> int:
    """Return the delivery bucket of a user, 0 … `partitions` - 1."""
    return zlib.crc32(user_id.encode()) % partitions


def _derived(name: str) -> UUID:
    """Return `uuid5(NAMESPACE, name)`, at half of its cost."""
    digest = sha1(NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(digest[:16], "big") & ~VERSION_AND_VARIANT | VERSION_5)
