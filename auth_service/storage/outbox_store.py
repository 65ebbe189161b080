"""SQL of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Insert, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain.account_events import SOURCE
from auth_service.storage.tables import outbox
from auth_service.storage.transactions import Transactions
from shared.contracts.envelope import Event
from shared.contracts.payload import parse_rfc3339, rfc3339
from shared.contracts.registry import PAYLOADS


def insertion(event: Event) -> Insert:
    """Build the statement that inserts an event, to be run in the transaction of the change that it describes."""
    data = event.data.to_dict()
    return insert(outbox).values(id=event.id, type=event.type, data=data, created_at=parse_rfc3339(event.time))


class OutboxStore:
    """The `Store` of `auth_service.jobs.outbox_relay`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def pending(self, limit: int) -> list[Event]:
        """Return the oldest events, at most `limit`."""
        query = select(outbox).order_by(outbox.c.created_at, outbox.c.id).limit(limit)

        async def work(connection: AsyncConnection) -> list[Event]:
            return [_event(row) for row in (await connection.execute(query)).all()]

        return await self._transactions.read(work)

    async def remove(self, ids: Sequence[str]) -> None:
        """Delete published events."""
        gone = delete(outbox).where(outbox.c.id.in_(ids))

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(gone)

        await self._transactions.write(work)


def _event(row: Any) -> Event:
    return Event(source=SOURCE, data=PAYLOADS[row.type].read(row.data), id=row.id, time=rfc3339(row.created_at))
