"""Counts the ends of the process during one event, which is the only evidence that the event crashes its process.

The broker's count of deliveries is none: it also counts lost connections, and every time that a database takes no
writes. A mark in the table of settings is written before an event is tried, and removed when the try has ended.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, delete, select

from persistence_worker.storage.database import Database
from persistence_worker.storage.dialect_sql import upsert
from persistence_worker.storage.tables import settings


class SuspectStore:
    """The mark of one partition: the id of an event, and the number of tries that did not end."""

    def __init__(self, database: Database, queue: str) -> None:
        self._database = database
        self._name = f"suspect {queue}"

    async def begin(self, event_id: str) -> int:
        """Mark the beginning of a try; return the number of earlier tries of this event that did not end."""
        return await self._database.write(partial(self._begin, event_id=event_id))

    async def end(self) -> None:
        """Remove the mark."""
        await self._database.write(self._end)

    def _begin(self, connection: Connection, event_id: str) -> int:
        marked = connection.scalar(select(settings.c.value).where(settings.c.name == self._name).with_for_update())
        count, _, marked_id = (marked or "0 ").partition(" ")
        unfinished = int(count) if marked_id == event_id else 0
        mark = upsert(settings, connection.dialect.name).values(name=self._name, value=f"{unfinished + 1} {event_id}")
        connection.execute(mark.on_conflict_do_update(index_elements=["name"], set_={"value": mark.excluded.value}))
        return unfinished

    def _end(self, connection: Connection) -> None:
        connection.execute(delete(settings).where(settings.c.name == self._name))
