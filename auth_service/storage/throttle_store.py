"""SQL of the throttle's tallies, which all replicas share.

Rows are locked in the order of their keys, which prevents deadlocks between attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain import throttle_rules as rules
from auth_service.domain.throttle_rules import Bucket, Outcome, Tally
from auth_service.storage.tables import attempts
from auth_service.storage.transactions import Transactions
from shared.contracts.payload import utc_now

Change = Callable[[Tally, Bucket], Tally]


class _MustWait(Exception):
    """Rolls the transaction back, so that refused attempts add no rows, whatever ids they try."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class ThrottleStore:
    """The `Store` of `auth_service.use_cases.throttle`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def begin(self, own: Bucket, others: Sequence[Bucket], *, known_for: timedelta) -> tuple[float, bool]:
        """Begin an attempt, or return the seconds to wait; also return whether the address is known."""
        now = utc_now()

        async def work(connection: AsyncConnection) -> bool:
            found = await _locked(connection, [own, *others], now)
            succeeded_at = found[own].succeeded_at
            known = succeeded_at is not None and now - succeeded_at < known_for
            counting = [own] if known else list(found)
            if seconds := max(rules.wait(found[each], each.budget, now) for each in counting):
                raise _MustWait(seconds)
            await _store(connection, found | {each: rules.begun(found[each]) for each in counting})
            return known

        try:
            return 0.0, await self._transactions.write(work)
        except _MustWait as refusal:
            return refusal.seconds, False

    async def end(self, own: Bucket, others: Sequence[Bucket], outcome: Outcome, *, known: bool) -> None:
        """End an attempt: a success clears only its own tally, a failure counts in all of them."""
        now = utc_now()

        def after(tally: Tally, bucket: Bucket) -> Tally:
            if known and bucket != own:
                return tally
            tally = rules.ended(tally)
            if outcome is Outcome.FAILED:
                return rules.failed(tally, bucket.budget, now)
            return rules.succeeded(tally, now) if outcome is Outcome.SUCCEEDED and bucket == own else tally

        await self._change([own, *others], after, now)

    async def charge(self, bucket: Bucket) -> float:
        """Count one use, or return the seconds to wait."""
        now = utc_now()

        async def work(connection: AsyncConnection) -> float:
            found = await _locked(connection, [bucket], now)
            seconds = rules.wait(found[bucket], bucket.budget, now)
            if not seconds:
                await _store(connection, {bucket: rules.failed(found[bucket], bucket.budget, now)})
            return seconds

        return await self._transactions.write(work)

    async def remember(self, own: Bucket) -> None:
        """Record a success without an attempt."""
        now = utc_now()
        await self._change([own], lambda tally, _: rules.succeeded(tally, now), now)

    async def _change(self, buckets: Sequence[Bucket], change: Change, now: datetime) -> None:
        async def work(connection: AsyncConnection) -> None:
            found = await _locked(connection, buckets, now)
            await _store(connection, {bucket: change(tally, bucket) for bucket, tally in found.items()})

        await self._transactions.write(work)


async def _locked(connection: AsyncConnection, buckets: Sequence[Bucket], now: datetime) -> dict[Bucket, Tally]:
    """Return the tallies aged to `now`, after inserting missing ones and locking all."""
    ordered = sorted(buckets, key=lambda bucket: bucket.key)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [{"key": bucket.key, "failures": 0.0, "pending": 0, "updated_at": now} for bucket in ordered]
    await connection.execute(dialect.insert(attempts).values(rows).on_conflict_do_nothing())
    keys = [bucket.key for bucket in ordered]
    found = await connection.execute(
        select(attempts).where(attempts.c.key.in_(keys)).order_by(attempts.c.key).with_for_update()
    )
    tallies = {
        row.key: Tally(row.updated_at, row.failures, row.pending, row.blocked_until, row.succeeded_at) for row in found
    }
    return {bucket: rules.aged(tallies[bucket.key], bucket.budget, now) for bucket in ordered}


async def _store(connection: AsyncConnection, tallies: Mapping[Bucket, Tally]) -> None:
    rows = [{"changed": bucket.key, **asdict(tally)} for bucket, tally in tallies.items()]
    await connection.execute(update(attempts).where(attempts.c.key == bindparam("changed")), rows)
