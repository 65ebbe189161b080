"""Whose account an identity at a provider is: the one it was linked to at its first login, made then."""

from __future__ import annotations

import secrets
from typing import Protocol

import structlog

from auth_service.domain.credentials import Credentials
from auth_service.domain.federated_identities import Identity, suggested
from auth_service.domain.users import ROLES, User
from shared.contracts.payload import utc_now
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

TRIES = 5


class Store(Protocol):
    """Where links are kept. Each call is one transaction and may raise `Unavailable`."""

    async def find(self, issuer: str, subject: str) -> Credentials | None:
        """The credentials of the linked account."""

    async def add(self, user: User, issuer: str, subject: str) -> bool:
        """Whether a new account was made and linked: the id was free, and nobody linked the identity meanwhile."""


class Identities:
    """Finds accounts, and makes them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def credentials(self, identity: Identity) -> Credentials:
        """Those of the account of that identity.

        Raises:
            InvalidCredentials: the account is disabled.
            Unavailable: not done.
        """
        for _ in range(TRIES):
            known = await self._store.find(identity.issuer, identity.subject)
            if known and known.disabled:
                raise InvalidCredentials
            if known:
                return known
            await self._make(identity)
        raise Unavailable

    async def _make(self, identity: Identity) -> None:
        name = suggested(identity.name)
        for user_id in (name, f"{name}-{secrets.token_hex(2)}", f"{name}-{secrets.token_hex(6)}"):
            if await self._store.add(User(user_id, utc_now(), ROLES), identity.issuer, identity.subject):
                logger.info("user came by a provider", user=user_id)
                return
