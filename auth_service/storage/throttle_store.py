"""The throttle's tallies in the database, so that replicas agree.

Rows are locked in the order of their keys, so that attempts never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain import throttle_rules as rules
from auth_service.domain.throttle_rules import Counted, Outcome, Tally
from auth_service.storage.tables import attempts
from auth_service.storage.transactions import Transactions
from shared.contracts.payload import utc_now

Change = Callable[[Tally, Counted], Tally]


class _MustWait(Exception):
    """Rolls back: who is refused leaves no rows behind, with however many ids they come."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class ThrottleStore:
    """The `Store` of `auth_service.use_cases.throttle`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def begin(self, own: Counted, others: Sequence[Counted], *, known_for: timedelta) -> tuple[float, bool]:
        """Begin an attempt, unless one has to wait: for how many seconds, and whether it is known."""
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

    async def end(self, own: Counted, others: Sequence[Counted], outcome: Outcome, *, known: bool) -> None:
        """End an attempt: a success forgives only its own tally, a failure counts for all."""
        now = utc_now()

        def settled(tally: Tally, counted: Counted) -> Tally:
            if known and counted != own:
                return tally
            tally = rules.ended(tally)
            if outcome is Outcome.FAILED:
                return rules.failed(tally, counted.budget, now)
            return rules.succeeded(tally, now) if outcome is Outcome.SUCCEEDED and counted == own else tally

        await self._change([own, *others], settled, now)

    async def charge(self, counted: Counted) -> float:
        """Count one use, unless one has to wait: for how many seconds."""
        now = utc_now()

        async def work(connection: AsyncConnection) -> float:
            found = await _locked(connection, [counted], now)
            seconds = rules.wait(found[counted], counted.budget, now)
            if not seconds:
                await _store(connection, {counted: rules.failed(found[counted], counted.budget, now)})
            return seconds

        return await self._transactions.write(work)

    async def remember(self, own: Counted) -> None:
        """As if an attempt had succeeded."""
        now = utc_now()
        await self._change([own], lambda tally, _: rules.succeeded(tally, now), now)

    async def _change(self, those: Sequence[Counted], change: Change, now: datetime) -> None:
        async def work(connection: AsyncConnection) -> None:
            found = await _locked(connection, those, now)
            await _store(connection, {counted: change(tally, counted) for counted, tally in found.items()})

        await self._transactions.write(work)


async def _locked(connection: AsyncConnection, those: Sequence[Counted], now: datetime) -> dict[Counted, Tally]:
    """The tallies as they are now, made where there are none, and ours until the transaction ends."""
    ordered = sorted(those, key=lambda counted: counted.key)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [{"key": counted.key, "failures": 0.0, "pending": 0, "updated_at": now} for counted in ordered]
    await connection.execute(dialect.insert(attempts).values(rows).on_conflict_do_nothing())
    keys = [counted.key for counted in ordered]
    found = await connection.execute(
        select(attempts).where(attempts.c.key.in_(keys)).order_by(attempts.c.key).with_for_update()
    )
    tallies = {
        row.key: Tally(row.updated_at, row.failures, row.pending, row.blocked_until, row.succeeded_at) for row in found
    }
    return {counted: rules.aged(tallies[counted.key], counted.budget, now) for counted in ordered}


async def _store(connection: AsyncConnection, tallies: Mapping[Counted, Tally]) -> None:
    rows = [{"changed": counted.key, **asdict(tally)} for counted, tally in tallies.items()]
    await connection.execute(update(attempts).where(attempts.c.key == bindparam("changed")), rows)
