"""Budgets: rate limits of client events by user or service, shared by all gateways.

Each gateway has a token bucket for each of its users and decides only by that bucket. Every half second it announces
what busy users have spent, and all gateways drain their buckets by that, below zero if necessary. In the long run
a user with devices on g gateways gets the rate of one gateway, `events_per_second`, plus at most g bursts and g half
seconds of that rate once; after a full burst on each gateway the user waits until it is paid back. Each gateway always
grants a quarter of the rate, so that devices on one gateway do not starve those on another. Users below a fifth of the
rate are not announced. Without a broker each gateway limits independently.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from typing import Any

from chat_gateway.domain.rate_limits import TokenBucket
from chat_gateway.sessions.persistence_client import SOURCE
from chat_gateway.settings import GatewaySettings
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import UserSpent
from shared.contracts.topology import DELIVERY, user_key
from shared.errors import RateLimited

SWEEP_AT_LEAST = 1_000  # buckets; above it, full buckets are removed
ANNOUNCE_EVERY = 0.5  # seconds
ANNOUNCE_FROM = 0.2  # of the rate, below `rate_limits.GUARANTEED_SHARE`: slower users are not announced


def event_limits(settings: GatewaySettings, user_id: str) -> tuple[float, int]:
    """Return the events per second and the burst of a user or a service."""
    if ids.is_service(user_id):
        return settings.service_events_per_second, settings.service_events_burst
    return settings.events_per_second, settings.events_burst


class Budgets:
    """The budgets of this gateway's users."""

    def __init__(self, bus: Bus, settings: GatewaySettings) -> None:
        self._bus = bus
        self._settings = settings
        self._limited = settings.limits == "on"
        self._name = uuid.uuid4().hex
        self._buckets: dict[str, TokenBucket] = {}
        self._sweep_at = SWEEP_AT_LEAST
        self._spent: Counter[str] = Counter()  # events by user since the last announcement

    def spend(self, user_id: str) -> None:
        """Spend one event of a user's budget.

        Raises:
            RateLimited: the budget is empty.
        """
        if not self._limited:
            return
        wait = self._bucket(user_id).take(time.monotonic())
        if wait:
            raise RateLimited(retry_after=wait)
        self._spent[user_id] += 1

    def spent_elsewhere(self, data: dict[str, Any]) -> None:
        """Take a `UserSpent` of another gateway; those of this one are ignored."""
        if self._limited and data["gateway"] != self._name:
            self._bucket(data["user_id"]).drain(data["events"], time.monotonic())

    async def announce_spending(self) -> None:
        """Announce what busy users have spent to all gateways, until cancelled."""
        while True:
            await asyncio.sleep(ANNOUNCE_EVERY)
            spent, self._spent = self._spent, Counter()
            for user_id, events in spent.items():
                rate, _ = event_limits(self._settings, user_id)
                if events >= rate * ANNOUNCE_EVERY * ANNOUNCE_FROM and self._bus.connected:
                    told = UserSpent(user_id=user_id, gateway=self._name, events=events)
                    key = user_key(ids.bucket(user_id, self._settings.partitions))
                    self._bus.stream(DELIVERY, key, Event(SOURCE, told))

    def _bucket(self, user_id: str) -> TokenBucket:
        bucket = self._buckets.get(user_id)
        if bucket is None:
            self._sweep()
            bucket = TokenBucket(*event_limits(self._settings, user_id))
            self._buckets[user_id] = bucket
        return bucket

    def _sweep(self) -> None:
        if len(self._buckets) < self._sweep_at:
            return
        now = time.monotonic()
        self._buckets = {user: bucket for user, bucket in self._buckets.items() if not bucket.is_full(now)}
        self._sweep_at = max(SWEEP_AT_LEAST, 2 * len(self._buckets))
