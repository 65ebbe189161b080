"""Accounts of users who log in through an OpenID provider: created and linked at the first login."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from auth_service.domain.credentials import Credentials
from auth_service.domain.federated_identities import FederatedIdentity
from auth_service.domain.users import ROLES, User
from shared.contracts.payload import utc_now
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

TRIES = 5


class Store(Protocol):
    """The stored links. Each call is one transaction and may raise `Unavailable`."""

    async def find(self, issuer: str, subject: str) -> Credentials | None:
        """Return the credentials of the linked account."""

    async def add(self, user: User, issuer: str, subject: str) -> bool:
        """Store a new account and its link; return `False` if the id is taken or the identity is linked."""


class FederatedAccounts:
    """Finds and creates the accounts of identities."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def credentials(self, identity: FederatedIdentity, suggest: Callable[[], Awaitable[str]]) -> Credentials:
        """Return the credentials of the identity's account, which is created if it does not exist.

        `suggest` returns the id for a new account; it is not called for an account that exists.

        Raises:
            InvalidCredentials: the account is disabled.
            Unavailable: the database is away, or no free id was found.
        """
        suggested: str | None = None
        for _ in range(TRIES):
            known = await self._store.find(identity.issuer, identity.subject)
            if known and known.disabled:
                logger.info("federated_login.refused", user=known.user_id, reason="disabled")
                raise InvalidCredentials
            if known:
                return known
            suggested = suggested or await suggest()
            await self._create(identity, suggested)
        raise Unavailable

    async def _create(self, identity: FederatedIdentity, name: str) -> None:
        for user_id in (name, f"{name}-{secrets.token_hex(2)}", f"{name}-{secrets.token_hex(6)}"):
            if await self._store.add(User(user_id, utc_now(), ROLES), identity.issuer, identity.subject):
                logger.info("federated_user.registered", user=user_id)
                return
