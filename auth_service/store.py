"""Accounts in a database (SQLAlchemy Core), the same on PostgreSQL and SQLite."""

from __future__ import annotations

from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from auth_service.accounts import Login, User
from auth_service.tables import logins, refresh_tokens, users
from auth_service.transactions import Transactions


class DatabaseStore:
    """The `Store` of `auth_service.accounts`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._transactions = Transactions(engine)

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

    async def credentials(self, user_id: str) -> tuple[User, str] | None:
        """A user and the hash of their passcode."""
        query = select(users).where(users.c.id == user_id)

        async def work(connection: AsyncConnection) -> tuple[User, str] | None:
            row = (await connection.execute(query)).one_or_none()
            return (User(row.id, row.created_at, tuple(row.roles)), row.passcode_hash) if row else None

        return await self._transactions.read(work)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Compare and swap."""
        change = update(users).where(users.c.id == user_id, users.c.passcode_hash == old).values(passcode_hash=new)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(change)

        await self._transactions.write(work)

    async def add_login(self, login: Login) -> None:
        """Store a login and its first refresh token."""
        family = {"sid": login.sid, "user_id": login.user_id, "created_at": login.created_at}
        token = {
            "hash": login.refresh_token_hash,
            "sid": login.sid,
            "issued_at": login.created_at,
            "expires_at": login.refresh_token_expires_at,
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(logins), family)
            await connection.execute(insert(refresh_tokens), token)

        await self._transactions.write(work)

    async def user_of_login(self, user_id: str, sid: str) -> User | None:
        """The user, if this login is theirs and not revoked."""
        query = (
            select(users.c.id, users.c.created_at, users.c.roles)
            .join(logins, logins.c.user_id == users.c.id)
            .where(users.c.id == user_id, logins.c.sid == sid, logins.c.revoked_at.is_(None))
        )

        async def work(connection: AsyncConnection) -> User | None:
            row = (await connection.execute(query)).one_or_none()
            return User(row.id, row.created_at, tuple(row.roles)) if row else None

        return await self._transactions.read(work)

    async def probe(self) -> None:
        """Whether the database answers.

        Raises:
            Unavailable: it does not.
        """

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text("SELECT 1"))

        await self._transactions.read(work)

    async def settle(self) -> None:
        """Wait for transactions that nobody waits for any more."""
        await self._transactions.settle()
