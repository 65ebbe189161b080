"""SQL of the sweep."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Table, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.account_events import user_deleted
from auth_service.domain.users import GUEST
from auth_service.storage.outbox_store import insertion
from auth_service.storage.tables import attempts, ended_service_tokens, identities, logins, refresh_tokens, users
from auth_service.storage.transactions import Transactions


class SweepStore:
    """The `Store` of `auth_service.jobs.sweep`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def sweep_tokens(self, now: datetime, limit: int) -> int:
        """Delete expired refresh tokens."""
        return await self._remove(refresh_tokens, refresh_tokens.c.expires_at <= now, limit)

    async def sweep_logins(self, expired_by: datetime, revoked_by: datetime, limit: int) -> int:
        """Delete expired logins, and those that were revoked by `revoked_by`."""
        ended = or_(logins.c.expires_at <= expired_by, logins.c.revoked_at <= revoked_by)
        return await self._remove(logins, and_(ended, logins.c.access_expires_at <= revoked_by), limit)

    async def sweep_ended_tokens(self, expired_by: datetime, limit: int) -> int:
        """Delete the records of ended tokens of services that expired by `expired_by`."""
        return await self._remove(ended_service_tokens, ended_service_tokens.c.expires_at <= expired_by, limit)

    async def sweep_tallies(self, known_by: datetime, guessed_by: datetime, limit: int) -> int:
        """Delete tallies that were last updated by the given moments."""
        old = attempts.c.updated_at <= known_by
        guessed = and_(attempts.c.updated_at <= guessed_by, attempts.c.succeeded_at.is_(None))
        return await self._remove(attempts, or_(old, guessed), limit)

    async def sweep_guests(self, now: datetime, created_by: datetime, limit: int) -> int:
        """Delete accounts of guests without an active login, and add their events to the outbox."""
        active = exists().where(
            logins.c.user_id == users.c.id, logins.c.revoked_at.is_(None), logins.c.expires_at > now
        )
        unreachable = (
            select(users.c.id, users.c.roles)
            .where(users.c.passcode_hash == "", users.c.deleted_at.is_(None), users.c.created_at <= created_by)
            .where(~active)
            .where(~exists().where(identities.c.user_id == users.c.id))
            .limit(limit)
            .with_for_update()
        )

        async def work(connection: AsyncConnection) -> int:
            guests = [row.id for row in await connection.execute(unreachable) if tuple(row.roles) == GUEST]
            for user_id in guests:
                await connection.execute(update(users).where(users.c.id == user_id).values(roles=[], deleted_at=now))
                await connection.execute(insertion(user_deleted(user_id, now)))
            return len(guests)

        return await self._transactions.write(work)

    async def _remove(self, table: Table, which: ColumnElement[bool], limit: int) -> int:
        (key,) = table.primary_key
        some = select(key).where(which).limit(limit)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(table).where(key.in_(some)))).rowcount

        return await self._transactions.write(work)
