"""Accounts of users who log in through an OpenID provider: created and linked at the first login."""

from __future__ import annotations

import secrets
from typing import Protocol

import structlog

from auth_service.domain.credentials import Credentials
from auth_service.domain.federated_identities import FederatedIdentity, suggested_user_id
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

    async def credentials(self, identity: FederatedIdentity) -> Credentials:
        """Return the credentials of the identity's account, which is created if it does not exist.

        Raises:
            InvalidCredentials: the account is disabled.
            Unavailable: the database is away, or no free id was found.
        """
        for _ in range(TRIES):
            known = await self._store.find(identity.issuer, identity.subject)
            if known and known.disabled:
                raise InvalidCredentials
            if known:
                return known
            await self._create(identity)
        raise Unavailable

    async def _create(self, identity: FederatedIdentity) -> None:
        name = suggested_user_id(identity.name)
        for user_id in (name, f"{name}-{secrets.token_hex(2)}", f"{name}-{secrets.token_hex(6)}"):
            if await self._store.add(User(user_id, utc_now(), ROLES), identity.issuer, identity.subject):
                logger.info("federated_user.registered", user=user_id)
                return
