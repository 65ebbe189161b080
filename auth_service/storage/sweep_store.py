"""The statements of the sweep."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Table, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.account_events import user_deleted
from auth_service.domain.users import GUEST
from auth_service.storage.outbox_store import addition
from auth_service.storage.tables import attempts, identities, logins, refresh_tokens, users
from auth_service.storage.transactions import Transactions


class SweepStore:
    """The `Store` of `auth_service.jobs.sweep`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def sweep_tokens(self, now: datetime, most: int) -> int:
        """Remove refresh tokens that have expired; how many."""
        return await self._remove(refresh_tokens, refresh_tokens.c.expires_at <= now, most)

    async def sweep_logins(self, expired_by: datetime, revoked_by: datetime, most: int) -> int:
        """Remove logins that have expired, and those that were revoked long enough ago; how many."""
        over = or_(logins.c.expires_at <= expired_by, logins.c.revoked_at <= revoked_by)
        return await self._remove(logins, and_(over, logins.c.access_expires_at <= revoked_by), most)

    async def sweep_tallies(self, known_by: datetime, guessed_by: datetime, most: int) -> int:
        """Remove tallies that were not touched since; how many."""
        old = attempts.c.updated_at <= known_by
        guessed = and_(attempts.c.updated_at <= guessed_by, attempts.c.succeeded_at.is_(None))
        return await self._remove(attempts, or_(old, guessed), most)

    async def sweep_guests(self, now: datetime, created_by: datetime, most: int) -> int:
        """Delete the accounts of guests who have no login left, and tell of it; how many."""
        standing = exists().where(
            logins.c.user_id == users.c.id, logins.c.revoked_at.is_(None), logins.c.expires_at > now
        )
        forlorn = (
            select(users.c.id, users.c.roles)
            .where(users.c.passcode_hash == "", users.c.deleted_at.is_(None), users.c.created_at <= created_by)
            .where(~standing)
            .where(~exists().where(identities.c.user_id == users.c.id))
            .limit(most)
            .with_for_update()
        )

        async def work(connection: AsyncConnection) -> int:
            guests = [row.id for row in await connection.execute(forlorn) if tuple(row.roles) == GUEST]
            for user_id in guests:
                await connection.execute(update(users).where(users.c.id == user_id).values(roles=[], deleted_at=now))
                await connection.execute(addition(user_deleted(user_id, now)))
            return len(guests)

        return await self._transactions.write(work)

    async def _remove(self, table: Table, which: ColumnElement[bool], most: int) -> int:
        (key,) = table.primary_key
        some = select(key).where(which).limit(most)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(table).where(key.in_(some)))).rowcount

        return await self._transactions.write(work)
