"""The check of a passcode: the same work and the same answer for existing and for unknown users."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import structlog

from auth_service.domain import passcodes
from auth_service.domain.credentials import Credentials
from auth_service.metrics import Metrics
from auth_service.use_cases.throttle import Throttle
from shared.errors import InvalidCredentials, InvalidRequest, Unavailable

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """The stored credentials. Each call is one transaction and may raise `Unavailable`."""

    async def credentials(self, user_id: str) -> Credentials | None:
        """Return the credentials of an account, unless it was deleted."""

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Store a new hash of the same passcode, unless the passcode was changed concurrently."""


class Hasher(Protocol):
    """Computes slow hashes in a bounded pool. Each call but `is_outdated` may raise `Unavailable`."""

    async def hash(self, passcode: str) -> str:
        """Return the hash to store."""

    async def verify(self, stored: str | None, passcode: str) -> bool:
        """Return whether the passcode matches; without a stored hash, do the same work and return `False`."""

    def is_outdated(self, stored: str) -> bool:
        """Return whether the hash should be replaced by one with the current parameters."""


class CredentialCheck:
    """Compares passcodes, under the limits of the throttle."""

    def __init__(self, *, store: Store, hasher: Hasher, throttle: Throttle, metrics: Metrics) -> None:
        self._store = store
        self._hasher = hasher
        self._throttle = throttle
        self._metrics = metrics

    async def verify(self, user_id: str, raw_passcode: str, client_address: str) -> Credentials:
        """Return the credentials of an account, given its id and the passcode as sent from an address.

        Raises:
            InvalidCredentials: the user does not exist or is disabled, or the passcode is wrong.
            RateLimited: too many wrong passcodes; this one was not compared.
            Unavailable: the database or the hashing pool is not available.
        """
        async with self._throttle.attempt(user_id, client_address):
            return await self._verify(user_id, raw_passcode, client_address)

    async def verify_owner(self, user_id: str, raw_passcode: str | None, client_address: str) -> Credentials:
        """Return the credentials of an authenticated user, who must repeat the passcode if the account has one.

        Raises:
            InvalidRequest: the account has a passcode, and none was sent.
            InvalidCredentials: the passcode is wrong.
            RateLimited: too many wrong passcodes.
            Unavailable: the database or the hashing pool is not available.
        """
        if raw_passcode is not None:
            return await self.verify(user_id, raw_passcode, client_address)
        known = await self._store.credentials(user_id)
        if known is None:
            raise InvalidCredentials
        if known.passcode_hash:
            raise InvalidRequest("The passcode is required.")
        return known

    async def _verify(self, user_id: str, raw_passcode: str, client_address: str) -> Credentials:
        known = await self._store.credentials(user_id)
        stored = known.passcode_hash or None if known and known.service is None else None
        try:
            passcode = passcodes.normalised(raw_passcode)
        except ValueError:  # no account can have this passcode
            passcode, stored = "", None
        matches = await self._hasher.verify(stored, passcode)
        if known is None or stored is None or known.disabled or not matches:
            self._metrics.logins.labels("failed").inc()
            if known:  # unknown ids are not logged: users sometimes type a passcode into that field
                logger.info(
                    "passcode.refused",
                    user=known.user_id,
                    disabled=known.disabled,
                    client_address=client_address,
                    collapse=f"{known.user_id} {client_address}",
                )
            raise InvalidCredentials
        if self._hasher.is_outdated(stored):
            with suppress(Unavailable):  # the next login tries again
                await self._store.replace_hash(user_id, stored, await self._hasher.hash(passcode))
        return known
