"""Use cases of the scope `users`: a service creates accounts, lends logins to them, and erases them."""

from __future__ import annotations

from typing import Protocol

import structlog

from auth_service.domain.account_events import user_deleted
from auth_service.domain.credentials import Credentials
from auth_service.domain.logins import Tokens
from auth_service.domain.services import Service
from auth_service.domain.users import ROLES, User
from auth_service.use_cases.accounts import Wakeable
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from shared.contracts.envelope import Event
from shared.contracts.payload import utc_now
from shared.errors import Forbidden, InvalidCredentials, NotFound, Unavailable, UserExists

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """The stored accounts of services. Each call is one transaction and may raise `Unavailable`."""

    async def find(self, user_id: str, service: str) -> User | None:
        """Return an account that this service has created, unless it was deleted."""

    async def credentials(self, user_id: str, service: str) -> Credentials | None:
        """Return the credentials of an account that this service has created, unless it was deleted."""

    async def is_deleted(self, user_id: str, service: str) -> bool:
        """Return whether this service has created the account, and it was deleted."""


class Accounts(Protocol):
    """All stored accounts."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Store an account; return `False` if the id is taken. An empty hash means no passcode."""

    async def delete(self, user_id: str, version: int, event: Event) -> bool:
        """Delete an account, revoke its logins, and add `event` to the outbox; `False` if `version` is not current."""


class ServiceUsers:
    """Manages the accounts of services. Accounts of others do not exist for a service."""

    def __init__(self, *, store: Store, accounts: Accounts, logins: LoginLifecycle, outbox: Wakeable) -> None:
        self._store = store
        self._accounts = accounts
        self._logins = logins
        self._outbox = outbox

    async def create(self, service: Service, user_id: str) -> tuple[User, bool]:
        """Create an account, or return the one that this service has created; also return whether it is new.

        Raises:
            UserExists: the id belongs to another account, or to a deleted one.
            Unavailable: the account may or may not have been created.
        """
        user = User(user_id, utc_now(), ROLES, service.name)
        if await self._accounts.add_user(user, ""):
            logger.info("service_user.created", user=user_id, service=service.name)
            return user, True
        known = await self._store.find(user_id, service.name)
        if known is None:
            raise UserExists
        return known, False

    async def lend_login(self, service: Service, user_id: str, user_agent: str | None, client_address: str) -> Tokens:
        """Begin a login of an account, which ends when the service is revoked.

        Raises:
            NotFound: this service has no such account.
            Forbidden: an operator has disabled the account, or the service was revoked meanwhile.
            Unavailable: the login may or may not have been stored.
        """
        credentials = await self._store.credentials(user_id, service.name)
        if credentials is None:
            raise NotFound
        if credentials.disabled:
            raise Forbidden("This account is disabled.")
        try:
            return await self._logins.begin(credentials, user_agent, client_address, service=service.name)
        except InvalidCredentials:
            raise Forbidden from None

    async def erase(self, service: Service, user_id: str) -> None:
        """Delete an account permanently, as its owner could. Erasing it again changes nothing.

        Raises:
            NotFound: this service never had such an account.
            Unavailable: the account may or may not have been deleted, or was changed concurrently.
        """
        credentials = await self._store.credentials(user_id, service.name)
        if credentials is None:
            if await self._store.is_deleted(user_id, service.name):
                return
            raise NotFound
        if not await self._accounts.delete(user_id, credentials.version, user_deleted(user_id, utc_now())):
            raise Unavailable
        self._outbox.wake()
        logger.info("service_user.deleted", user=user_id, service=service.name)
