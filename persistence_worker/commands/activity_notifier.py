"""Publishes `session_activity`: transient, unconfirmed, and after the events of the batch itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

from persistence_worker.domain.activity import INTERVAL, ActivityPacer
from persistence_worker.domain.publications import SOURCE
from persistence_worker.domain.state import SessionState
from shared.bus.port import Bus
from shared.contracts import ids, topology
from shared.contracts.envelope import Event
from shared.contracts.events import SessionActivity

CHECK_INTERVAL = INTERVAL / 4  # seconds


class ActivityNotifier:
    """Serves all partitions of a worker."""

    def __init__(self, *, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._partitions = partitions
        self._pacer = ActivityPacer()

    def changed(self, sessions: Iterable[SessionState]) -> None:
        """Publish the activity of sessions whose changes have been published, now or at the end of their interval."""
        self._publish(self._pacer.change(sessions, time.monotonic()))

    def discard(self, session_ids: Iterable[UUID]) -> None:
        """Discard pending activity of sessions that a member has left, before that is published."""
        self._pacer.discard(session_ids)

    async def run(self) -> None:
        """Publish pending activity when it is due, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            self._publish(self._pacer.due(time.monotonic()))

    def _publish(self, activity: Iterable[SessionActivity]) -> None:
        for payload in activity:
            event = Event(SOURCE, payload, subject=str(payload.session_id))
            for bucket in {ids.bucket(user, self._partitions) for user in payload.users}:
                self._bus.stream(topology.DELIVERY, topology.user_key(bucket), event)
