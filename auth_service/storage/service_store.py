"""SQL of services, their keys and their ended tokens.

A change of the keys of a service locks its row first, so that it never has more than two valid keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.services import KEYS_MAX, Service, ServiceKey
from auth_service.storage.tables import ended_service_tokens, logins, service_keys, services
from auth_service.storage.transactions import Transactions


class ServiceStore:
    """The `Store` of `auth_service.use_cases.service_tokens` and of `auth_service.service_command`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def create(self, service: Service, key: ServiceKey) -> bool:
        """Insert a service with its first key; return `False` if the name is taken, as the primary key decides."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(services), _service_row(service))
            await connection.execute(insert(service_keys), _key_row(key))

        try:
            await self._transactions.write(work)
        except IntegrityError:
            return False
        return True

    async def add_key(self, name: str, key_id: str, key_hash: bytes, now: datetime) -> bool | None:
        """Insert another key; return `False` if two are valid, and `None` if there is no such active service."""
        lock = select(services).where(services.c.name == name, services.c.revoked_at.is_(None)).with_for_update()
        known = select(service_keys).where(service_keys.c.service == name)

        async def work(connection: AsyncConnection) -> bool | None:
            row = (await connection.execute(lock)).one_or_none()
            if row is None:
                return None
            keys = [_key(each) for each in await connection.execute(known)]
            if sum(key.is_valid(now) for key in keys) >= KEYS_MAX:
                return False
            lifetime = _service(row).key_lifetime
            key = ServiceKey(key_id, name, key_hash, now, None if lifetime is None else now + lifetime)
            await connection.execute(insert(service_keys), _key_row(key))
            return True

        return await self._transactions.write(work)

    async def all_services(self) -> list[tuple[Service, list[ServiceKey]]]:
        """Return every service with its keys, the oldest first."""
        keys_of = select(service_keys).order_by(service_keys.c.created_at, service_keys.c.id)
        every = select(services).order_by(services.c.created_at, services.c.name)

        async def work(connection: AsyncConnection) -> list[tuple[Service, list[ServiceKey]]]:
            keys = [_key(row) for row in await connection.execute(keys_of)]
            found = [_service(row) for row in await connection.execute(every)]
            return [(service, [key for key in keys if key.service == service.name]) for service in found]

        return await self._transactions.read(work)

    async def revoke(self, name: str, now: datetime) -> bool:
        """Revoke a service, its keys and the logins that it lends; return `False` if no such service is active."""
        end = update(services).where(services.c.name == name, services.c.revoked_at.is_(None)).values(revoked_at=now)
        end_keys = update(service_keys).where(service_keys.c.service == name, service_keys.c.revoked_at.is_(None))
        lent = update(logins).where(logins.c.service == name, logins.c.revoked_at.is_(None))

        async def work(connection: AsyncConnection) -> bool:
            if not (await connection.execute(end)).rowcount:
                return False
            await connection.execute(end_keys.values(revoked_at=now))
            await connection.execute(lent.values(revoked_at=now))
            return True

        return await self._transactions.write(work)

    async def revoke_key(self, name: str, key_id: str, now: datetime) -> bool:
        """Revoke one key; return `False` if the service has no such key that is not revoked."""
        own = (service_keys.c.service == name) & (service_keys.c.id == key_id)
        end = update(service_keys).where(own, service_keys.c.revoked_at.is_(None)).values(revoked_at=now)

        async def work(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(end)).rowcount)

        return await self._transactions.write(work)

    async def valid_keys(self, name: str, now: datetime) -> tuple[Service, list[ServiceKey]] | None:
        """Return an active service and its valid keys."""
        query = select(services).where(services.c.name == name, services.c.revoked_at.is_(None))
        keys_of = select(service_keys).where(service_keys.c.service == name, service_keys.c.revoked_at.is_(None))

        async def work(connection: AsyncConnection) -> tuple[Service, list[ServiceKey]] | None:
            row = (await connection.execute(query)).one_or_none()
            keys = [_key(each) for each in await connection.execute(keys_of)]
            return (_service(row), [key for key in keys if key.is_valid(now)]) if row else None

        return await self._transactions.read(work)

    async def record_token(self, key_id: str, expires_at: datetime) -> bool:
        """Record until when a key has a valid access token; return `False` if the key was revoked."""
        known, later = service_keys.c.access_expires_at, service_keys.c.access_expires_at < expires_at
        change = update(service_keys).where(service_keys.c.id == key_id, service_keys.c.revoked_at.is_(None))
        active = select(func.count()).where(service_keys.c.id == key_id, service_keys.c.revoked_at.is_(None))

        async def work(connection: AsyncConnection) -> bool:
            changed = change.where(or_(known.is_(None), later)).values(access_expires_at=expires_at)
            if (await connection.execute(changed)).rowcount:
                return True
            return bool(await connection.scalar(active))

        return await self._transactions.write(work)

    async def active(self, name: str, key_id: str, jti: str) -> Service | None:
        """Return the service of a token, if neither it nor the key nor the token has ended."""
        ended = exists().where(ended_service_tokens.c.jti == jti)
        query = (
            select(services)
            .join(service_keys, service_keys.c.service == services.c.name)
            .where(services.c.name == name, services.c.revoked_at.is_(None))
            .where(service_keys.c.id == key_id, service_keys.c.revoked_at.is_(None), ~ended)
        )

        async def work(connection: AsyncConnection) -> Service | None:
            row = (await connection.execute(query)).one_or_none()
            return _service(row) if row else None

        return await self._transactions.read(work)

    async def end_token(self, jti: str, now: datetime, expires_at: datetime) -> None:
        """Record that a token has ended; a repetition changes nothing."""
        row = {"jti": jti, "ended_at": now, "expires_at": expires_at}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(ended_service_tokens), row)

        try:
            await self._transactions.write(work)
        except IntegrityError:
            return


def _service_row(service: Service) -> dict[str, Any]:
    lifetime = service.key_lifetime
    return {
        "name": service.name,
        "scopes": list(service.scopes),
        "key_lifetime": None if lifetime is None else int(lifetime.total_seconds()),
        "created_at": service.created_at,
    }


def _key_row(key: ServiceKey) -> dict[str, Any]:
    names: Sequence[str] = ("id", "service", "hash", "created_at", "expires_at")
    return {name: getattr(key, name) for name in names}


def _service(row: Any) -> Service:
    lifetime = None if row.key_lifetime is None else timedelta(seconds=row.key_lifetime)
    return Service(row.name, tuple(row.scopes), row.created_at, lifetime, row.revoked_at)


def _key(row: Any) -> ServiceKey:
    return ServiceKey(row.id, row.service, row.hash, row.created_at, row.expires_at, row.revoked_at)
