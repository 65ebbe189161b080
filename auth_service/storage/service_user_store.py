"""SQL of the accounts that services have created."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import User
from auth_service.storage.account_store import read_credentials
from auth_service.storage.tables import users
from auth_service.storage.transactions import Transactions


class ServiceUserStore:
    """The `Store` of `auth_service.use_cases.service_users`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def find(self, user_id: str, service: str) -> User | None:
        """Return an account that this service has created, unless it was deleted."""
        query = select(users).where(users.c.id == user_id, users.c.service == service, users.c.deleted_at.is_(None))

        async def work(connection: AsyncConnection) -> User | None:
            row = (await connection.execute(query)).one_or_none()
            return User(row.id, row.created_at, tuple(row.roles), row.service) if row else None

        return await self._transactions.read(work)

    async def credentials(self, user_id: str, service: str) -> Credentials | None:
        """Return the credentials of an account that this service has created, unless it was deleted."""
        query = select(users).where(users.c.id == user_id, users.c.service == service, users.c.deleted_at.is_(None))

        return await read_credentials(self._transactions, query)

    async def is_deleted(self, user_id: str, service: str) -> bool:
        """Return whether this service has created the account, and it was deleted."""
        own = select(users.c.deleted_at).where(users.c.id == user_id, users.c.service == service)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.scalar(own)) is not None

        return await self._transactions.read(work)
