"""SQL of accounts and their credentials, on PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import GUEST, ROLES, User
from auth_service.storage.login_store import revocation
from auth_service.storage.outbox_store import insertion
from auth_service.storage.tables import identities, logins, users
from auth_service.storage.transactions import Transactions
from shared.contracts.envelope import Event
from shared.contracts.payload import parse_rfc3339


class AccountStore:
    """The `Store` of `auth_service.use_cases.accounts` and of `auth_service.use_cases.credential_check`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def is_taken(self, user_id: str) -> bool:
        """Return whether the id belongs to an account or to a deleted one."""
        query = select(users.c.id).where(users.c.id == user_id)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(query)).one_or_none() is not None

        return await self._transactions.read(work)

    async def existing(self, user_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that belong to accounts, without deleted ones."""
        query = select(users.c.id).where(users.c.id.in_(user_ids), users.c.deleted_at.is_(None))

        async def work(connection: AsyncConnection) -> list[str]:
            return list(await connection.scalars(query))

        return await self._transactions.read(work)

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Insert an account; return `False` if the id is taken, as the primary key decides."""
        row = {
            "id": user.id,
            "passcode_hash": passcode_hash,
            "roles": list(user.roles),
            "created_at": user.created_at,
            "service": user.service,
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(users), row)

        try:
            await self._transactions.write(work)
        except IntegrityError:
            return False
        return True

    async def credentials(self, user_id: str) -> Credentials | None:
        """Return the credentials of an account, unless it was deleted."""
        query = select(users).where(users.c.id == user_id, users.c.deleted_at.is_(None))

        return await read_credentials(self._transactions, query)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Replace `old` by `new` (compare and swap)."""
        change = update(users).where(users.c.id == user_id, users.c.passcode_hash == old).values(passcode_hash=new)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(change)

        await self._transactions.write(work)

    async def change_passcode(self, user_id: str, version: int, passcode_hash: str, *, sid: str, now: datetime) -> bool:
        """Replace the passcode if `version` is current, and revoke every login but `sid` in the same transaction."""
        end_others = revocation(user_id, now).where(logins.c.sid != sid)

        async def work(connection: AsyncConnection) -> bool:
            roles = (await connection.execute(_locked(user_id, version))).scalar_one_or_none()
            if roles is None:
                return False
            change = {"passcode_hash": passcode_hash, "roles": list(ROLES) if tuple(roles) == GUEST else roles}
            await connection.execute(_replaced(user_id, version).values(change))
            await connection.execute(end_others)
            return True

        return await self._transactions.write(work)

    async def delete(self, user_id: str, version: int, event: Event) -> bool:
        """Clear the account and add `event` to the outbox. Only the id, which stays taken, and two dates remain."""
        deleted_at = parse_rfc3339(event.time)
        change = {"passcode_hash": "", "roles": [], "deleted_at": deleted_at}
        statements = [
            _replaced(user_id, version).values(change),
            revocation(user_id, deleted_at),
            update(logins).where(logins.c.user_id == user_id).values(device=None),
            delete(identities).where(identities.c.user_id == user_id),
            insertion(event),
        ]

        async def work(connection: AsyncConnection) -> bool:
            if (await connection.execute(_locked(user_id, version))).one_or_none() is None:
                return False
            for statement in statements:
                await connection.execute(statement)
            return True

        return await self._transactions.write(work)


async def read_credentials(transactions: Transactions, query: Select[Any]) -> Credentials | None:
    """Return the credentials in the only row of a query of the table of users."""

    async def work(connection: AsyncConnection) -> Credentials | None:
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        disabled = row.disabled_at is not None
        return Credentials(row.id, tuple(row.roles), row.passcode_hash, row.credentials_version, disabled, row.service)

    return await transactions.read(work)


def _locked(user_id: str, version: int) -> Select[Any]:
    """Select the roles of an account whose credentials have that version, and lock its row."""
    found = select(users.c.roles).where(users.c.id == user_id, users.c.credentials_version == version)
    return found.where(users.c.deleted_at.is_(None)).with_for_update()


def _replaced(user_id: str, version: int) -> Update:
    return update(users).where(users.c.id == user_id).values(credentials_version=version + 1)
