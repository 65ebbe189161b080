"""Checking a passcode: as much work, and the same answer, whether there is such a user or not."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import structlog

from auth_service.domain import passcodes
from auth_service.domain.credentials import Credentials
from auth_service.metrics import Metrics
from auth_service.use_cases.throttle import Guard
from shared.errors import InvalidCredentials, InvalidRequest, Unavailable

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """Where credentials are kept. Each call is one transaction and may raise `Unavailable`."""

    async def credentials(self, user_id: str) -> Credentials | None:
        """Those of a user who was not deleted."""

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Store the same passcode under a new hash, unless it was changed meanwhile."""


class Hasher(Protocol):
    """Slow hashes, in a bounded pool. Each call but `is_outdated` may raise `Unavailable`."""

    async def hash(self, passcode: str) -> str:
        """What to store of a passcode."""

    async def verify(self, stored: str | None, passcode: str) -> bool:
        """Whether they belong together; as much work without a stored hash as with one."""

    def is_outdated(self, stored: str) -> bool:
        """Whether a newer hash of the same passcode should take its place."""


class CredentialCheck:
    """The one place where a passcode is compared."""

    def __init__(self, *, store: Store, hasher: Hasher, guard: Guard, metrics: Metrics) -> None:
        self._store = store
        self._hasher = hasher
        self._guard = guard
        self._metrics = metrics

    async def verify(self, user_id: str, raw_passcode: str, source: str) -> Credentials:
        """The credentials that an id and a passcode as sent belong to; `source` is the client's address.

        Raises:
            InvalidCredentials: no such user, not their passcode, or disabled.
            RateLimited: too many wrong ones; whether this one is, was not looked at.
            Unavailable: cannot be told just now.
        """
        async with self._guard.attempt(user_id, source):
            return await self._verify(user_id, raw_passcode, source)

    async def verify_owner(self, user_id: str, raw_passcode: str | None, source: str) -> Credentials:
        """The credentials of somebody who is logged in, and who must give their passcode again if they have one.

        Raises:
            InvalidRequest: they have one, and gave none.
            InvalidCredentials: it is another.
            RateLimited: too many others were tried.
            Unavailable: cannot be told just now.
        """
        if raw_passcode is not None:
            return await self.verify(user_id, raw_passcode, source)
        known = await self._store.credentials(user_id)
        if known is None:
            raise InvalidCredentials
        if known.passcode_hash:
            raise InvalidRequest("The passcode is needed.")
        return known

    async def _verify(self, user_id: str, raw_passcode: str, source: str) -> Credentials:
        known = await self._store.credentials(user_id)
        stored = known.passcode_hash or None if known else None
        try:
            passcode = passcodes.normalised(raw_passcode)
        except ValueError:  # nobody has such a passcode
            passcode, stored = "", None
        matches = await self._hasher.verify(stored, passcode)
        if known is None or stored is None or known.disabled or not matches:
            self._metrics.logins.labels("failed").inc()
            if known:  # an unknown id is not logged: people type passcodes into that field
                logger.info("passcode refused", user=known.user_id, disabled=known.disabled, source=source)
            raise InvalidCredentials
        if self._hasher.is_outdated(stored):
            with suppress(Unavailable):  # there will be other logins
                await self._store.replace_hash(user_id, stored, await self._hasher.hash(passcode))
        return known
