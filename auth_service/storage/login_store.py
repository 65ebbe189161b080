"""SQL of logins and their refresh tokens.

Locks are taken in one order: the row of a user before the rows of their logins. A new login takes a shared lock on the
user, so that none is created during a change of passcode, a disabling or a deletion. Rotation locks the login.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, String, Update, insert, literal, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.logins import Login, Rotation, TokenIssue
from auth_service.domain.refresh_rotation import Presented, Verdict, judge
from auth_service.domain.revocations import Revoked
from auth_service.domain.users import User
from auth_service.storage.tables import ended_service_tokens, logins, refresh_tokens, service_keys, services, users
from auth_service.storage.transactions import Transactions

LIST_MAX = 200  # logins in a list


def revocation(user_id: str, now: datetime) -> Update:
    """Build the statement that revokes the logins of a user; narrow it with `where`."""
    return update(logins).where(logins.c.user_id == user_id, logins.c.revoked_at.is_(None)).values(revoked_at=now)


class LoginStore:
    """The `Store` of `auth_service.use_cases.login_lifecycle` and of `auth_service.jobs.revocation_list`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def begin(self, login: Login, version: int, issue: TokenIssue) -> bool:
        """Insert a login and its first refresh token, while a lock keeps the user's credentials unchanged."""
        same = select(users.c.id).where(users.c.id == login.user_id, users.c.credentials_version == version, _active())
        family = {
            "sid": login.sid,
            "user_id": login.user_id,
            "created_at": login.created_at,
            "device": login.device,
            **_use(issue),
            "expires_at": issue.refresh_expires_at,
            "service": login.service,
        }

        async def work(connection: AsyncConnection) -> bool:
            if (await connection.execute(same.with_for_update(read=True))).one_or_none() is None:
                return False
            if login.service is not None and not await _is_active_service(connection, login.service):
                return False
            await connection.execute(insert(logins), family)
            await connection.execute(insert(refresh_tokens), _token(login.sid, issue))
            return True

        return await self._transactions.write(work)

    async def rotate(self, presented: bytes, successor: TokenIssue) -> Rotation | None:
        """Judge under the lock of the login, so that of two who present the same token one comes second."""
        find = select(refresh_tokens.c.sid).where(refresh_tokens.c.hash == presented)

        async def work(connection: AsyncConnection) -> Rotation | None:
            sid = (await connection.execute(find)).scalar_one_or_none()
            login = await _active_owner(connection, sid) if sid else None
            if sid is None or login is None:
                return None
            judged = await _judged(connection, presented, successor)
            if judged is None:
                return None
            expires_at, verdict = judged
            await _carry_out(connection, sid, presented, successor, verdict)
            return Rotation(verdict, sid, login.user_id, tuple(login.roles), expires_at, login.service)

        return await self._transactions.write(work)

    async def active_user(self, user_id: str, sid: str) -> User | None:
        """The user, if this login is theirs and stands."""
        query = (
            select(users.c.id, users.c.created_at, users.c.roles, users.c.service)
            .join(logins, logins.c.user_id == users.c.id)
            .where(users.c.id == user_id, logins.c.sid == sid, logins.c.revoked_at.is_(None), _active())
        )

        async def work(connection: AsyncConnection) -> User | None:
            row = (await connection.execute(query)).one_or_none()
            return User(row.id, row.created_at, tuple(row.roles), row.service) if row else None

        return await self._transactions.read(work)

    async def active_logins(self, user_id: str, now: datetime) -> list[Login]:
        """Return the active logins of a user, the last used first, at most `LIST_MAX`."""
        query = (
            select(logins)
            .where(logins.c.user_id == user_id, logins.c.revoked_at.is_(None), logins.c.expires_at > now)
            .order_by(logins.c.last_used_at.desc(), logins.c.sid)
            .limit(LIST_MAX)
        )

        async def work(connection: AsyncConnection) -> list[Login]:
            rows = (await connection.execute(query)).all()
            return [Login(r.sid, r.user_id, r.device, r.created_at, r.last_used_at, r.expires_at) for r in rows]

        return await self._transactions.read(work)

    async def revoke(self, user_id: str, sid: str, now: datetime) -> bool:
        """Revoke a login; return `False` if the user has no such active login."""
        return bool(await self._change(revocation(user_id, now).where(logins.c.sid == sid, logins.c.expires_at > now)))

    async def revoke_all(self, user_id: str, now: datetime) -> int:
        """Revoke every login of a user and return their number."""
        return await self._change(revocation(user_id, now))

    async def revoked(self, after: datetime | None, expiring_after: datetime) -> list[Revoked]:
        """Return what was revoked `after` a moment with an access token that is valid at `expiring_after`.

        These are logins, keys of services, and single tokens of services.
        """
        ended = ended_service_tokens.c
        queries = [
            _revoked(logins.c.sid, logins.c.revoked_at, logins.c.access_expires_at, after, expiring_after),
            _revoked(
                service_keys.c.id, service_keys.c.revoked_at, service_keys.c.access_expires_at, after, expiring_after
            ),
            _revoked(ended.jti, ended.ended_at, ended.expires_at, after, expiring_after),
        ]

        async def work(connection: AsyncConnection) -> list[Revoked]:
            rows = (await connection.execute(union_all(*queries))).all()
            return [Revoked(row.sid, row.at, row.until) for row in rows]

        return await self._transactions.read(work)

    async def drain(self) -> None:
        """Wait for transactions whose callers were cancelled."""
        await self._transactions.drain()

    async def _change(self, change: Update) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(change)).rowcount

        return await self._transactions.write(work)


def _revoked(
    sid: Column[str],
    at: Column[datetime],
    until: Column[datetime],
    after: datetime | None,
    expiring_after: datetime,
) -> Select[str, datetime, datetime]:
    since = at.is_not(None) if after is None else at > after
    return select(sid.label("sid"), at.label("at"), until.label("until")).where(since, until > expiring_after)


def _active() -> ColumnElement[bool]:
    return users.c.disabled_at.is_(None) & users.c.deleted_at.is_(None)


async def _active_owner(connection: AsyncConnection, sid: str) -> Row[Any, Any] | None:
    """Lock an active login and return its user."""
    lock = select(logins.c.user_id, logins.c.service).where(logins.c.sid == sid, logins.c.revoked_at.is_(None))
    login = (await connection.execute(lock.with_for_update())).one_or_none()
    if login is None:
        return None
    service = literal(login.service, String).label("service")
    query = select(users.c.id.label("user_id"), users.c.roles, service).where(users.c.id == login.user_id, _active())
    return (await connection.execute(query)).one_or_none()


async def _is_active_service(connection: AsyncConnection, name: str) -> bool:
    """Return whether a service is active, under a lock against its revocation, which ends the logins that it lends."""
    lock = select(services.c.name).where(services.c.name == name, services.c.revoked_at.is_(None))
    return (await connection.execute(lock.with_for_update(read=True))).one_or_none() is not None


async def _judged(
    connection: AsyncConnection, presented: bytes, successor: TokenIssue
) -> tuple[datetime, Verdict] | None:
    """Return the expiry of the successor and the verdict, or `None` if a sweep has deleted the token."""
    both = select(refresh_tokens).where(refresh_tokens.c.hash.in_([presented, successor.refresh_hash]))
    rows = {row.hash: row for row in await connection.execute(both)}
    token, next_token = rows.get(presented), rows.get(successor.refresh_hash)
    if token is None:
        return None
    unused = next_token is not None and next_token.rotated_at is None
    verdict = judge(Presented(token.expires_at, token.rotated_at, unused), successor.at)
    return next_token.expires_at if next_token is not None else successor.refresh_expires_at, verdict


async def _carry_out(
    connection: AsyncConnection, sid: str, presented: bytes, successor: TokenIssue, verdict: Verdict
) -> None:
    login = update(logins).where(logins.c.sid == sid)
    if verdict is Verdict.ROTATE:
        mark = update(refresh_tokens).where(refresh_tokens.c.hash == presented).values(rotated_at=successor.at)
        await connection.execute(mark)
        await connection.execute(insert(refresh_tokens), _token(sid, successor))
        await connection.execute(login.values(**_use(successor), expires_at=successor.refresh_expires_at))
    elif verdict is Verdict.REPEAT:
        await connection.execute(login.values(**_use(successor)))
    elif verdict is Verdict.REUSED:
        await connection.execute(login.values(revoked_at=successor.at))


def _use(issue: TokenIssue) -> dict[str, Any]:
    return {"last_used_at": issue.at, "access_expires_at": issue.access_expires_at}


def _token(sid: str, issue: TokenIssue) -> dict[str, Any]:
    return {"hash": issue.refresh_hash, "sid": sid, "issued_at": issue.at, "expires_at": issue.refresh_expires_at}
