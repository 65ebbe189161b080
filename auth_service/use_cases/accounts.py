"""Use cases of accounts: register, change the passcode, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import structlog

from auth_service.domain import passcodes
from auth_service.domain.account_events import user_deleted
from auth_service.domain.users import GUEST, ROLES, User
from auth_service.metrics import Metrics
from auth_service.use_cases.credential_check import CredentialCheck, Hasher
from auth_service.use_cases.throttle import Throttle
from shared.contracts.envelope import Event
from shared.contracts.payload import utc_now
from shared.errors import Forbidden, InvalidCredentials, UserExists, WeakPasscode

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """The stored accounts. Each call is one transaction and may raise `Unavailable`."""

    async def is_taken(self, user_id: str) -> bool:
        """Return whether the id belongs to an account or to a deleted one."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Store an account; return `False` if the id is taken."""

    async def change_passcode(self, user_id: str, version: int, passcode_hash: str, *, sid: str, now: datetime) -> bool:
        """Replace the passcode and revoke every login but `sid`; return `False` if `version` is not current.

        A guest becomes a regular user.
        """

    async def delete(self, user_id: str, version: int, event: Event) -> bool:
        """Delete an account, revoke its logins, and add `event` to the outbox; return `False` as `change_passcode`."""


class Wakeable(Protocol):
    """The relay of the outbox."""

    def wake(self) -> None:
        """Publish new events without delay."""


class Accounts:
    """Registers, changes and deletes accounts."""

    def __init__(
        self,
        *,
        store: Store,
        check: CredentialCheck,
        hasher: Hasher,
        throttle: Throttle,
        outbox: Wakeable,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._check = check
        self._hasher = hasher
        self._throttle = throttle
        self._outbox = outbox
        self._metrics = metrics

    async def register(self, user_id: str, passcode: str, client_address: str) -> User:
        """Create an account.

        Args:
            user_id: the id in its stored form.
            passcode: the passcode in its normalised form.
            client_address: the address that the request came from.

        Raises:
            WeakPasscode: the passcode is one of the most common ones, or equals the id.
            UserExists: the id is taken; of two concurrent registrations one gets this error.
            RateLimited: too many registrations from this address.
            Unavailable: the account may or may not have been created.
        """
        if passcodes.is_weak(passcode, user_id):
            self._metrics.registrations.labels("failed").inc()
            raise WeakPasscode
        await self._throttle.admit_registration(client_address)
        user = User(user_id, utc_now(), ROLES)
        # Checked first, because a hash is expensive. Concurrent registrations are decided by the primary key.
        taken = await self._store.is_taken(user_id)
        if taken or not await self._store.add_user(user, await self._hasher.hash(passcode)):
            self._metrics.registrations.labels("failed").inc()
            raise UserExists
        await self._throttle.record_registration(user_id, client_address)
        self._metrics.registrations.labels("ok").inc()
        logger.info("user.registered", user=user_id, client_address=client_address)
        return user

    async def change_passcode(self, user: User, sid: str, current: str | None, new: str, client_address: str) -> None:
        """Change the passcode of `user` to `new`, in its normalised form, and revoke every login but `sid`.

        Raises:
            WeakPasscode: the new passcode is one of the most common ones, or equals the id.
            InvalidRequest: `current` is missing, and the user is not a guest.
            RateLimited: too many wrong passcodes.
            InvalidCredentials: `current` is not the passcode, or it was changed concurrently.
            Forbidden: the user logs in through a provider or a service and has no passcode.
            Unavailable: the passcode may or may not have been changed.
        """
        _refuse_managed(user)
        if passcodes.is_weak(new, user.id):
            raise WeakPasscode
        owner = await self._check.verify_owner(user.id, current, client_address)
        if not owner.passcode_hash and owner.roles != GUEST:
            raise Forbidden("This account has no passcode, because it logs in through a provider.")
        hashed = await self._hasher.hash(new)
        if not await self._store.change_passcode(user.id, owner.version, hashed, sid=sid, now=utc_now()):
            raise InvalidCredentials
        logger.info("passcode.changed", user=user.id, sid=sid, client_address=client_address)

    async def delete(self, user: User, passcode: str | None, client_address: str) -> None:
        """Delete an account permanently, revoke its logins, and publish `UserDeleted`. The id stays taken.

        Raises:
            Forbidden: the account is managed by a service.
            InvalidRequest: the passcode is missing.
            RateLimited: too many wrong passcodes.
            InvalidCredentials: the passcode is wrong, or was changed concurrently.
            Unavailable: the account may or may not have been deleted.
        """
        _refuse_managed(user)
        owner = await self._check.verify_owner(user.id, passcode, client_address)
        if not await self._store.delete(user.id, owner.version, user_deleted(user.id, utc_now())):
            raise InvalidCredentials
        self._outbox.wake()
        logger.info("user.deleted", user=user.id, client_address=client_address)


def _refuse_managed(user: User) -> None:
    if user.service is not None:
        raise Forbidden("This account is managed by the service that has created it.")
