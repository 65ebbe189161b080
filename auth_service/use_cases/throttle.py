"""The throttle: who guesses passcodes, registers or exports too often waits, on every replica.

A failed login counts for the account from that address, for the address and for the account. Where an account was
logged into before, from that address, only the first of the three counts: strangers who guess from elsewhere, however
many they are, do not keep the owner out. Keys are MACs: neither an address nor a guessed id is stored.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Protocol

import structlog

from auth_service.domain.throttle_rules import Budget, Counted, Outcome
from auth_service.metrics import Metrics
from auth_service.settings import AuthSettings
from shared.errors import InvalidCredentials, RateLimited, Unavailable
from shared.runtime.forwarded import source_of

logger = structlog.get_logger(__name__)

KNOWN_FOR = timedelta(days=90)  # an address is known that long after the last login from it
HOUR = 3600.0  # seconds
WAIT_MAX = 900.0  # seconds


class Store(Protocol):
    """Where tallies are kept. Each call is one transaction and may raise `Unavailable`."""

    async def begin(self, own: Counted, others: Sequence[Counted], *, known_for: timedelta) -> tuple[float, bool]:
        """Begin an attempt, unless one has to wait: for how many seconds, and whether it is known.

        Known is where `own` succeeded less than `known_for` ago; `others` do not count there. The work is the same,
        so that its time tells nobody which ids exist.
        """

    async def end(self, own: Counted, others: Sequence[Counted], outcome: Outcome, *, known: bool) -> None:
        """End an attempt that was begun."""

    async def charge(self, counted: Counted) -> float:
        """Count one use, unless one has to wait: for how many seconds."""

    async def remember(self, own: Counted) -> None:
        """As if an attempt had succeeded."""


class Guard(Protocol):
    """What stands before everything that somebody could do too often."""

    def attempt(self, user_id: str, source: str) -> AbstractAsyncContextManager[None]:
        """Around a comparison of a passcode.

        Raises:
            RateLimited: too many were wrong.
            Unavailable: cannot be counted just now.
        """

    async def registration(self, source: str) -> None:
        """Before an account is opened; raises as `attempt`."""

    async def registered(self, user_id: str, source: str) -> None:
        """After one was opened: the address is its owner's."""

    async def guest(self, source: str) -> None:
        """Before a guest is let in; raises as `attempt`."""

    async def export(self, user_id: str) -> None:
        """Before an export; raises as `attempt`."""


class NoGuard:
    """Everything is allowed (`BACKCHAT_LIMITS=off`)."""

    def attempt(self, user_id: str, source: str) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Allowed."""
        return nullcontext()

    async def registration(self, source: str) -> None:
        """Allowed."""

    async def registered(self, user_id: str, source: str) -> None:
        """Nothing is remembered."""

    async def guest(self, source: str) -> None:
        """Allowed."""

    async def export(self, user_id: str) -> None:
        """Allowed."""


class Throttle:
    """Counts, and refuses."""

    def __init__(self, store: Store, *, key: bytes, settings: AuthSettings, metrics: Metrics) -> None:
        """`key` of 32 bytes, the same on all replicas."""
        self._store = store
        self._key = key
        self._metrics = metrics
        self._pair, self._address, self._account = login_budgets(settings)
        self._registrations = _hourly(settings.registrations_per_hour)
        self._guests = _hourly(settings.guests_per_hour)
        self._exports = _hourly(settings.exports_per_hour)

    @asynccontextmanager
    async def attempt(self, user_id: str, source: str) -> AsyncIterator[None]:
        """Counted before the block is entered, and settled by how it ends."""
        own, address = self._own(user_id, source), self._counted(self._address, "address", source_of(source))
        others = [address, self._counted(self._account, "account", user_id)]
        seconds, known = await self._store.begin(own, others, known_for=KNOWN_FOR)
        if seconds:
            raise self._refused("login", seconds)
        outcome = Outcome.NEITHER
        try:
            yield
            outcome = Outcome.SUCCEEDED
        except InvalidCredentials:
            outcome = Outcome.FAILED
            raise
        finally:
            with suppress(Unavailable):  # who got the passcode right is not refused for want of a count
                await self._store.end(own, others, outcome, known=known)

    async def registration(self, source: str) -> None:
        """Each counts, successful or not."""
        await self._charge("registration", self._registrations, source_of(source))

    async def registered(self, user_id: str, source: str) -> None:
        """The address is known from now on."""
        with suppress(Unavailable):
            await self._store.remember(self._own(user_id, source))

    async def guest(self, source: str) -> None:
        """Each counts."""
        await self._charge("guest", self._guests, source_of(source))

    async def export(self, user_id: str) -> None:
        """Each counts."""
        await self._charge("export", self._exports, user_id)

    async def _charge(self, what: str, budget: Budget, whose: str) -> None:
        if seconds := await self._store.charge(self._counted(budget, what, whose)):
            raise self._refused(what, seconds)

    def _own(self, user_id: str, source: str) -> Counted:
        return self._counted(self._pair, "pair", user_id, source_of(source))

    def _counted(self, budget: Budget, *of: str) -> Counted:
        return Counted(hmac.digest(self._key, "\0".join(of).encode(), "sha256"), budget)

    def _refused(self, what: str, seconds: float) -> RateLimited:
        self._metrics.throttled.labels(what).inc()
        logger.info("throttled", what=what, seconds=round(seconds, 1))
        return RateLimited(retry_after=seconds)


def login_budgets(settings: AuthSettings) -> tuple[Budget, Budget, Budget]:
    """Failures of one account from one address; from one address, on all accounts; of one account, from everywhere.

    The last is such that nobody gets more than 100 guesses at an account in any hour (NIST SP 800-63B, 5.2.2).
    """
    return (
        Budget(settings.login_failures, forget_every=300.0, wait_max=WAIT_MAX, pending_max=50),
        Budget(settings.login_failures_address, forget_every=10.0, wait_max=WAIT_MAX),
        Budget(settings.login_failures_account, forget_every=90.0, wait_max=WAIT_MAX),
    )


def _hourly(most: int) -> Budget:
    """That many an hour, also all at once."""
    return Budget(most, forget_every=HOUR / most, wait_max=max(1.0, HOUR / most))
