"""Sends the notices of activity: transient, unconfirmed, off the path of the messages themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

from persistence_worker.domain.activity import INTERVAL, Activity
from persistence_worker.domain.publications import SOURCE
from persistence_worker.domain.state import SessionState
from shared.bus.port import Bus
from shared.contracts import ids, topology
from shared.contracts.envelope import Event
from shared.contracts.events import SessionActivity

LOOK_EVERY = INTERVAL / 4  # seconds


class Notices:
    """One for all partitions of a worker."""

    def __init__(self, *, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._partitions = partitions
        self._activity = Activity()

    def note(self, sessions: Iterable[SessionState]) -> None:
        """These have just changed and everybody who has joined them has been told."""
        self._send(self._activity.note(sessions, time.monotonic()))

    def forget(self, session_ids: Iterable[UUID]) -> None:
        """Somebody has left these, and is about to be told: nothing older may come after that."""
        self._activity.forget(session_ids)

    async def run(self) -> None:
        """Send what has waited long enough, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._send(self._activity.due(time.monotonic()))

    def _send(self, notices: Iterable[SessionActivity]) -> None:
        for notice in notices:
            event = Event(SOURCE, notice, subject=str(notice.session_id))
            for bucket in {ids.bucket(user, self._partitions) for user in notice.users}:
                self._bus.stream(topology.DELIVERY, topology.user_key(bucket), event)
