"""SQL of the links between accounts and identities at a provider."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import User
from auth_service.storage.account_store import read_credentials
from auth_service.storage.tables import identities, users
from auth_service.storage.transactions import Transactions


class FederatedAccountStore:
    """The `Store` of `auth_service.use_cases.federated_accounts`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def find(self, issuer: str, subject: str) -> Credentials | None:
        """Return the credentials of the linked account."""
        query = (
            select(users)
            .join(identities, identities.c.user_id == users.c.id)
            .where(identities.c.issuer == issuer, identities.c.subject == subject, users.c.deleted_at.is_(None))
        )

        return await read_credentials(self._transactions, query)

    async def add(self, user: User, issuer: str, subject: str) -> bool:
        """Insert the account and its link in one transaction; return `False` if a primary key is taken."""
        row = {"id": user.id, "passcode_hash": "", "roles": list(user.roles), "created_at": user.created_at}
        link = {"issuer": issuer, "subject": subject, "user_id": user.id, "created_at": user.created_at}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(users), row)
            await connection.execute(insert(identities), link)

        try:
            await self._transactions.write(work)
        except IntegrityError:
            return False
        return True
