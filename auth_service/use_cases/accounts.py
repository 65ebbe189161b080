"""Accounts: the rules of ids, and what is done to an account (register, change the passcode). No I/O but by ports."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import structlog

from auth_service.domain import passcodes
from auth_service.domain.account_events import user_deleted
from auth_service.domain.users import GUEST, ROLES, User
from auth_service.metrics import Metrics
from auth_service.use_cases.credential_check import CredentialCheck, Hasher
from auth_service.use_cases.throttle import Guard
from shared.contracts.envelope import Event
from shared.contracts.payload import utc_now
from shared.errors import Forbidden, InvalidCredentials, UserExists, WeakPasscode

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """Where accounts are kept. Each call is one transaction and may raise `Unavailable`."""

    async def is_taken(self, user_id: str) -> bool:
        """Whether somebody has this id, or had it."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Whether the id was free; the account is stored then."""

    async def change_passcode(self, user_id: str, version: int, passcode_hash: str, *, sid: str, now: datetime) -> bool:
        """Store another passcode and revoke every login but `sid`, if the credentials are still of that version.

        A guest becomes a user by it.
        """

    async def delete(self, user_id: str, version: int, told: Event) -> bool:
        """Delete an account, revoke its logins and put an event into the outbox, if its credentials are as expected."""


class Announcer(Protocol):
    """Tells others of what happened to accounts."""

    def hurry(self) -> None:
        """There is something to tell."""


class Accounts:
    """The use cases."""

    def __init__(
        self, *, store: Store, check: CredentialCheck, hasher: Hasher, guard: Guard, outbox: Announcer, metrics: Metrics
    ) -> None:
        self._store = store
        self._check = check
        self._hasher = hasher
        self._guard = guard
        self._outbox = outbox
        self._metrics = metrics

    async def register(self, user_id: str, passcode: str, source: str) -> User:
        """Open an account; `user_id` and `passcode` in their stored and normalised form, `source`: from where.

        Raises:
            WeakPasscode: one of the commonest, or the id itself.
            UserExists: the id is taken; of two who ask at once, one gets this.
            RateLimited: too many from there.
            Unavailable: unknown whether done.
        """
        if passcodes.is_weak(passcode, user_id):
            self._metrics.registrations.labels("failed").inc()
            raise WeakPasscode
        await self._guard.registration(source)
        user = User(user_id, utc_now(), ROLES)
        # A look first, because a hash is dear; who comes at the same moment is told apart by the primary key.
        taken = await self._store.is_taken(user_id)
        if taken or not await self._store.add_user(user, await self._hasher.hash(passcode)):
            self._metrics.registrations.labels("failed").inc()
            raise UserExists
        await self._guard.registered(user_id, source)
        self._metrics.registrations.labels("ok").inc()
        logger.info("user registered", user=user_id, source=source)
        return user

    async def change_passcode(self, user: User, sid: str, current: str | None, new: str, source: str) -> None:
        """Change the passcode and revoke every other login; `new` in its normalised form.

        Raises:
            WeakPasscode: one of the commonest, or the id itself.
            InvalidRequest: `current` is missing, and only a guest has none.
            RateLimited: too many others were tried.
            InvalidCredentials: `current` is not the passcode, or was changed meanwhile.
            Forbidden: they log in by a provider, and have no passcode to change.
            Unavailable: unknown whether done.
        """
        if passcodes.is_weak(new, user.id):
            raise WeakPasscode
        owner = await self._check.verify_owner(user.id, current, source)
        if not owner.passcode_hash and owner.roles != GUEST:
            raise Forbidden("This account has no passcode: it logs in with its provider.")
        hashed = await self._hasher.hash(new)
        if not await self._store.change_passcode(user.id, owner.version, hashed, sid=sid, now=utc_now()):
            raise InvalidCredentials
        logger.info("passcode changed", user=user.id, sid=sid, source=source)

    async def delete(self, user: User, passcode: str | None, source: str) -> None:
        """Delete an account for ever: its logins end, its id stays taken, and all who keep something of it are told.

        Raises:
            InvalidRequest: the passcode is missing.
            RateLimited: too many others were tried.
            InvalidCredentials: it is another, or was changed meanwhile.
            Unavailable: unknown whether done.
        """
        owner = await self._check.verify_owner(user.id, passcode, source)
        if not await self._store.delete(user.id, owner.version, user_deleted(user.id, utc_now())):
            raise InvalidCredentials
        self._outbox.hurry()
        logger.info("user deleted", user=user.id, source=source)
