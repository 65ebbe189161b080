"""The throttle's tallies in the database, so that replicas agree.

Rows are locked in one order, an attempt's own before the others and these by key, so that attempts never wait for
each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service import throttle_rules as rules
from auth_service.tables import attempts
from auth_service.throttle import Counted, Outcome
from auth_service.throttle_rules import Tally
from auth_service.transactions import Transactions
from shared.contracts.payload import utc_now

Change = Callable[[Tally, Counted], Tally]


class _MustWait(Exception):
    """Rolls back: who is refused leaves no rows behind, with however many ids they come."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class ThrottleStore:
    """The `Store` of `auth_service.throttle`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def begin(
        self, own: Counted, others: Sequence[Counted], *, known_for: timedelta
    ) -> tuple[float, Sequence[Counted]]:
        """Begin an attempt, unless one has to wait: for how many seconds, and what it counts for."""
        now = utc_now()

        async def work(connection: AsyncConnection) -> Sequence[Counted]:
            tally = await _locked(connection, own, now)
            known = tally.succeeded_at is not None and now - tally.succeeded_at < known_for
            counted = [] if known else sorted(others, key=lambda other: other.key)
            found = {own: tally} | {other: await _locked(connection, other, now) for other in counted}
            if seconds := max(rules.wait(tally, each.budget, now) for each, tally in found.items()):
                raise _MustWait(seconds)
            for each, tally in found.items():
                await _store(connection, each, rules.begun(tally))
            return counted

        try:
            return 0.0, await self._transactions.write(work)
        except _MustWait as refusal:
            return refusal.seconds, ()

    async def end(self, own: Counted, others: Sequence[Counted], outcome: Outcome) -> None:
        """End an attempt: a success forgives only its own tally, a failure counts for all."""
        now = utc_now()

        def settled(tally: Tally, counted: Counted) -> Tally:
            tally = rules.ended(tally)
            if outcome is Outcome.FAILED:
                return rules.failed(tally, counted.budget, now)
            return rules.succeeded(tally, now) if outcome is Outcome.SUCCEEDED and counted == own else tally

        await self._change([own, *others], settled, now)

    async def charge(self, counted: Counted) -> float:
        """Count one use, unless one has to wait: for how many seconds."""
        now = utc_now()

        async def work(connection: AsyncConnection) -> float:
            tally = await _locked(connection, counted, now)
            seconds = rules.wait(tally, counted.budget, now)
            if not seconds:
                await _store(connection, counted, rules.failed(tally, counted.budget, now))
            return seconds

        return await self._transactions.write(work)

    async def remember(self, own: Counted) -> None:
        """As if an attempt had succeeded."""
        now = utc_now()
        await self._change([own], lambda tally, _: rules.succeeded(tally, now), now)

    async def _change(self, those: Sequence[Counted], change: Change, now: datetime) -> None:
        async def work(connection: AsyncConnection) -> None:
            for counted in those:
                await _store(connection, counted, change(await _locked(connection, counted, now), counted))

        await self._transactions.write(work)


async def _locked(connection: AsyncConnection, counted: Counted, now: datetime) -> Tally:
    """The tally as it is now, made where there is none, and ours until the transaction ends."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"key": counted.key, "failures": 0.0, "pending": 0, "updated_at": now}
    await connection.execute(dialect.insert(attempts).values(row).on_conflict_do_nothing())
    columns = select(
        attempts.c.updated_at,
        attempts.c.failures,
        attempts.c.pending,
        attempts.c.blocked_until,
        attempts.c.succeeded_at,
    )
    found = (await connection.execute(columns.where(attempts.c.key == counted.key).with_for_update())).one()
    return rules.aged(Tally(*found), counted.budget, now)


async def _store(connection: AsyncConnection, counted: Counted, tally: Tally) -> None:
    await connection.execute(update(attempts).where(attempts.c.key == counted.key).values(asdict(tally)))
