"""SQL of the operators' commands on accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.storage.login_store import revocation
from auth_service.storage.tables import users
from auth_service.storage.transactions import Transactions


class UserCommandStore:
    """The `Store` of `auth_service.user_command`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def disable(self, user_id: str, now: datetime) -> bool:
        """Revoke the logins of an account and refuse new ones."""
        return await self._change(user_id, now, disabled_at=now)

    async def enable(self, user_id: str, now: datetime) -> bool:
        """Allow logins to an account again."""
        return await self._change(user_id, now, disabled_at=None)

    async def set_roles(self, user_id: str, roles: Sequence[str], now: datetime) -> bool:
        """Change the roles of an account and revoke its logins, whose tokens contain the old roles."""
        return await self._change(user_id, now, roles=list(roles))

    async def set_passcode(self, user_id: str, passcode_hash: str, now: datetime) -> bool:
        """Replace the passcode of an account and revoke its logins."""
        return await self._change(user_id, now, passcode_hash=passcode_hash)

    async def _change(self, user_id: str, now: datetime, **values: Any) -> bool:
        found = update(users).where(users.c.id == user_id, users.c.deleted_at.is_(None))
        change = found.values(credentials_version=users.c.credentials_version + 1, **values)

        async def work(connection: AsyncConnection) -> bool:
            if not (await connection.execute(change)).rowcount:
                return False
            await connection.execute(revocation(user_id, now))
            return True

        return await self._transactions.write(work)
