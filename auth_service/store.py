"""Accounts in a database (SQLAlchemy Core), the same on PostgreSQL and SQLite."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.accounts import User
from auth_service.credentials import Credentials
from auth_service.login_store import revocation
from auth_service.tables import logins, users
from auth_service.transactions import Transactions


class AccountStore:
    """The `Store` of `auth_service.accounts` and of `auth_service.credentials`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Whether the id was free; the primary key decides."""
        row = {
            "id": user.id,
            "passcode_hash": passcode_hash,
            "roles": list(user.roles),
            "created_at": user.created_at,
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(users), row)

        try:
            await self._transactions.write(work)
        except IntegrityError:
            return False
        return True

    async def credentials(self, user_id: str) -> Credentials | None:
        """Those of a user who was not deleted."""
        query = select(users).where(users.c.id == user_id, users.c.deleted_at.is_(None))

        async def work(connection: AsyncConnection) -> Credentials | None:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            disabled = row.disabled_at is not None
            return Credentials(row.id, tuple(row.roles), row.passcode_hash, row.credentials_version, disabled)

        return await self._transactions.read(work)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Compare and swap."""
        change = update(users).where(users.c.id == user_id, users.c.passcode_hash == old).values(passcode_hash=new)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(change)

        await self._transactions.write(work)

    async def change_passcode(self, user_id: str, version: int, passcode_hash: str, *, sid: str, now: datetime) -> bool:
        """Compare and swap; every login but `sid` is revoked in the same transaction."""
        change = (
            update(users)
            .where(users.c.id == user_id, users.c.credentials_version == version, users.c.deleted_at.is_(None))
            .values(passcode_hash=passcode_hash, credentials_version=version + 1)
        )
        end_others = revocation(user_id, now).where(logins.c.sid != sid)

        async def work(connection: AsyncConnection) -> bool:
            if not (await connection.execute(change)).rowcount:
                return False
            await connection.execute(end_others)
            return True

        return await self._transactions.write(work)

    async def probe(self) -> None:
        """Whether the database answers.

        Raises:
            Unavailable: it does not.
        """

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text("SELECT 1"))

        await self._transactions.read(work)
