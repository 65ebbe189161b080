"""The throttle limits guesses of passcodes, registrations, guests and exports, with tallies that all replicas share.

A failed login counts in three buckets: the pair of account and address, the address, and the account. If the account
has logged in from that address before, only the first one counts, so guesses from other addresses never lock the owner
out. The keys of buckets are MACs: neither addresses nor guessed ids are stored.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Protocol

import structlog

from auth_service.domain.throttle_rules import Bucket, Budget, Outcome
from auth_service.metrics import Metrics
from auth_service.settings import AuthSettings
from shared.errors import InvalidCredentials, RateLimited, Unavailable
from shared.http.forwarded_headers import address_block

logger = structlog.get_logger(__name__)

KNOWN_FOR = timedelta(days=90)  # an address stays known for that long after the last login from it
HOUR = 3600.0  # seconds
WAIT_MAX = 900.0  # seconds


class Store(Protocol):
    """The stored tallies. Each call is one transaction and may raise `Unavailable`."""

    async def begin(self, own: Bucket, others: Sequence[Bucket], *, known_for: timedelta) -> tuple[float, bool]:
        """Begin an attempt, or return the seconds to wait; also return whether the address is known.

        The address is known if `own` succeeded less than `known_for` ago; then `others` do not count. The work is the
        same in both cases, so that its duration does not reveal which ids exist.
        """

    async def end(self, own: Bucket, others: Sequence[Bucket], outcome: Outcome, *, known: bool) -> None:
        """End an attempt."""

    async def charge(self, bucket: Bucket) -> float:
        """Count one use, or return the seconds to wait."""

    async def remember(self, own: Bucket) -> None:
        """Record a success without an attempt."""


class Throttle(Protocol):
    """Limits how often clients may do something. Each call may raise `RateLimited` or `Unavailable`."""

    def attempt(self, user_id: str, client_address: str) -> AbstractAsyncContextManager[None]:
        """Wrap the comparison of a passcode."""

    async def admit_registration(self, client_address: str) -> None:
        """Admit the registration of an account."""

    async def record_registration(self, user_id: str, client_address: str) -> None:
        """Record that an account was registered from an address, which is known from then on."""

    async def admit_guest(self, client_address: str) -> None:
        """Admit a guest."""

    async def admit_export(self, user_id: str) -> None:
        """Admit an export."""


class NoThrottle:
    """Allows everything (`BACKCHAT_LIMITS=off`)."""

    def attempt(self, user_id: str, client_address: str) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Allow."""
        return nullcontext()

    async def admit_registration(self, client_address: str) -> None:
        """Allow."""

    async def record_registration(self, user_id: str, client_address: str) -> None:
        """Record nothing."""

    async def admit_guest(self, client_address: str) -> None:
        """Allow."""

    async def admit_export(self, user_id: str) -> None:
        """Allow."""


class TallyThrottle:
    """Counts in tallies, and raises `RateLimited` when a budget is exceeded."""

    def __init__(self, store: Store, *, key: bytes, settings: AuthSettings, metrics: Metrics) -> None:
        """Take the MAC key of 32 bytes, the same on all replicas."""
        self._store = store
        self._key = key
        self._metrics = metrics
        self._pair, self._address, self._account = login_budgets(settings)
        self._registrations = _hourly(settings.registrations_per_hour)
        self._guests = _hourly(settings.guests_per_hour)
        self._exports = _hourly(settings.exports_per_hour)

    @asynccontextmanager
    async def attempt(self, user_id: str, client_address: str) -> AsyncIterator[None]:
        """Count the attempt as pending during the block, and as failed if that raises `InvalidCredentials`."""
        own, address = (
            self._own(user_id, client_address),
            self._bucket(self._address, "address", address_block(client_address)),
        )
        others = [address, self._bucket(self._account, "account", user_id)]
        seconds, known = await self._store.begin(own, others, known_for=KNOWN_FOR)
        if seconds:
            raise self._refused("login", seconds)
        outcome = Outcome.UNDECIDED
        try:
            yield
            outcome = Outcome.SUCCEEDED
        except InvalidCredentials:
            outcome = Outcome.FAILED
            raise
        finally:
            with suppress(Unavailable):  # a correct passcode is not refused because the tally cannot be stored
                await self._store.end(own, others, outcome, known=known)

    async def admit_registration(self, client_address: str) -> None:
        """Count a registration, successful or not."""
        await self._charge("registration", self._registrations, address_block(client_address))

    async def record_registration(self, user_id: str, client_address: str) -> None:
        """Record the address as known."""
        with suppress(Unavailable):
            await self._store.remember(self._own(user_id, client_address))

    async def admit_guest(self, client_address: str) -> None:
        """Count a guest."""
        await self._charge("guest", self._guests, address_block(client_address))

    async def admit_export(self, user_id: str) -> None:
        """Count an export."""
        await self._charge("export", self._exports, user_id)

    async def _charge(self, what: str, budget: Budget, whose: str) -> None:
        if seconds := await self._store.charge(self._bucket(budget, what, whose)):
            raise self._refused(what, seconds)

    def _own(self, user_id: str, client_address: str) -> Bucket:
        return self._bucket(self._pair, "pair", user_id, address_block(client_address))

    def _bucket(self, budget: Budget, *of: str) -> Bucket:
        return Bucket(hmac.digest(self._key, "\0".join(of).encode(), "sha256"), budget)

    def _refused(self, what: str, seconds: float) -> RateLimited:
        self._metrics.throttled.labels(what).inc()
        logger.info("request.throttled", what=what, seconds=round(seconds, 1), collapse=what)
        return RateLimited(retry_after=seconds)


def login_budgets(settings: AuthSettings) -> tuple[Budget, Budget, Budget]:
    """Return the budgets of failures for one account from one address, from one address, and for one account.

    The last one limits the guesses at an account to 100 in any hour (NIST SP 800-63B, section 5.2.2).
    """
    return (
        Budget(settings.login_failures, forget_every=300.0, wait_max=WAIT_MAX, pending_max=50),
        Budget(settings.login_failures_address, forget_every=10.0, wait_max=WAIT_MAX),
        Budget(settings.login_failures_account, forget_every=90.0, wait_max=WAIT_MAX),
    )


def _hourly(most: int) -> Budget:
    """Return a budget of `most` an hour, which may be used at once."""
    return Budget(most, forget_every=HOUR / most, wait_max=max(1.0, HOUR / most))
