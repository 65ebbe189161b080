"""Accounts: the rules of ids, and the use cases (register, log in, who am I). No I/O but through the ports below."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

import structlog

from auth_service import passcodes
from auth_service.metrics import Metrics
from auth_service.tokens import AccessTokens, new_refresh_token, refresh_token_hash
from shared.contracts.payload import utc_now
from shared.errors import InvalidCredentials, TokenInvalid, Unavailable, UserExists, WeakPasscode

logger = structlog.get_logger(__name__)

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROLES = ("user",)  # of a new account


@dataclass(frozen=True, slots=True)
class User:
    """An account as its owner may see it."""

    id: str
    created_at: datetime
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Login:
    """One login: the row that its tokens hang on (`sid`), and the hash of its first refresh token."""

    sid: str
    user_id: str
    created_at: datetime
    refresh_token_hash: bytes
    refresh_token_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives; lifetimes in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Store(Protocol):
    """Where accounts are kept. Each call is one transaction and may raise `Unavailable`."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Whether the id was free; the account is stored then."""

    async def credentials(self, user_id: str) -> tuple[User, str] | None:
        """A user and the hash of their passcode."""

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Store the same passcode under a new hash, unless it was changed meanwhile."""

    async def add_login(self, login: Login) -> None:
        """Store a login and its refresh token."""

    async def user_of_login(self, user_id: str, sid: str) -> User | None:
        """The user, if this login is theirs and not revoked."""


class Hasher(Protocol):
    """Slow hashes, in a bounded pool. Each call but `is_outdated` may raise `Unavailable`."""

    async def hash(self, passcode: str) -> str:
        """What to store of a passcode."""

    async def verify(self, stored: str | None, passcode: str) -> bool:
        """Whether they belong together; as much work without a stored hash as with one."""

    def is_outdated(self, stored: str) -> bool:
        """Whether a newer hash of the same passcode should take its place."""


def user_id(raw: str) -> str:
    """An id in the form in which it is stored, compared and shown.

    Raises:
        ValueError: not an id; the text says why.
    """
    if not ID.fullmatch(raw):
        raise ValueError("must have 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")
    return raw.lower()


class Accounts:
    """The use cases."""

    def __init__(
        self, *, store: Store, hasher: Hasher, tokens: AccessTokens, refresh_ttl: int, metrics: Metrics
    ) -> None:
        """`refresh_ttl` in seconds."""
        self._store = store
        self._hasher = hasher
        self._tokens = tokens
        self._refresh_ttl = refresh_ttl
        self._metrics = metrics

    async def register(self, user_id: str, passcode: str) -> User:
        """Open an account; `user_id` and `passcode` in their stored and normalised form.

        Raises:
            WeakPasscode: one of the commonest, or the id itself.
            UserExists: the id is taken; of two who ask at once, one gets this.
            Unavailable: unknown whether done.
        """
        if passcodes.is_weak(passcode, user_id):
            self._metrics.registrations.labels("failed").inc()
            raise WeakPasscode
        user = User(user_id, utc_now(), ROLES)
        if not await self._store.add_user(user, await self._hasher.hash(passcode)):
            self._metrics.registrations.labels("failed").inc()
            raise UserExists
        self._metrics.registrations.labels("ok").inc()
        logger.info("user registered", user=user_id)
        return user

    async def login(self, user_id: str, raw_passcode: str) -> Tokens:
        """Log in. An unknown id costs the same work as a wrong passcode and gets the same answer.

        Raises:
            InvalidCredentials: no such user, or not their passcode.
            Unavailable: not done.
        """
        known = await self._store.credentials(user_id)
        user, stored = known or (None, None)
        try:
            passcode = passcodes.normalised(raw_passcode)
        except ValueError:  # nobody has such a passcode
            passcode, stored = "", None
        matches = await self._hasher.verify(stored, passcode)
        if user is None or stored is None or not matches:
            self._metrics.logins.labels("failed").inc()
            if user:  # an unknown id is not logged: people type passcodes into that field
                logger.info("login refused", user=user.id)
            raise InvalidCredentials
        if self._hasher.is_outdated(stored):
            with suppress(Unavailable):  # there will be other logins
                await self._store.replace_hash(user.id, stored, await self._hasher.hash(passcode))
        return await self._begin_login(user)

    async def me(self, access_token: object) -> User:
        """Whose token this is.

        Raises:
            TokenExpired: its time is over.
            TokenInvalid: not a token of ours, or its login was revoked.
            Unavailable: the database is away.
        """
        claims = self._tokens.verify(access_token)
        user = await self._store.user_of_login(claims.user_id, claims.sid)
        if user is None:
            raise TokenInvalid
        return user

    async def _begin_login(self, user: User) -> Tokens:
        refresh_token, now = new_refresh_token(), utc_now()
        expires = now + timedelta(seconds=self._refresh_ttl)
        login = Login(str(uuid4()), user.id, now, refresh_token_hash(refresh_token), expires)
        await self._store.add_login(login)
        self._metrics.logins.labels("ok").inc()
        logger.info("logged in", user=user.id, sid=login.sid)
        access_token = self._tokens.sign(user.id, login.sid, user.roles)
        return Tokens(access_token, self._tokens.ttl, refresh_token, self._refresh_ttl)
