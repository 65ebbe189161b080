"""Paces `session_activity`: for members who have not joined a session, at most one event per second. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from persistence_worker.domain.state import SessionState
from shared.contracts.events import SessionActivity
from shared.contracts.payload import rfc3339

INTERVAL = 1.0  # seconds between two events of one session


class ActivityPacer:
    """Decides which events are due. The first change is due at once, the latest of each further second at its end."""

    def __init__(self) -> None:
        self._published_at: dict[UUID, float] = {}  # ascending
        self._pending: dict[UUID, SessionState] = {}  # in the state of their latest change

    def change(self, sessions: Iterable[SessionState], now: float) -> list[SessionActivity]:
        """Return the events that are due at once for sessions that changed at `now` (monotonic seconds)."""
        due = []
        for session in sessions:
            if session.deleted_at is not None:
                self._pending.pop(session.id, None)
            elif session.id in self._published_at:
                self._pending[session.id] = session
            else:
                self._published_at[session.id] = now
                due.append(_event(session))
        return due

    def discard(self, session_ids: Iterable[UUID]) -> None:
        """Discard pending events of sessions that a member has left: they are addressed to that member too."""
        for session_id in session_ids:
            self._pending.pop(session_id, None)

    def due(self, now: float) -> list[SessionActivity]:
        """Return pending events whose interval is over, and evict sessions without one."""
        over = []
        for session_id, published_at in self._published_at.items():
            if published_at > now - INTERVAL:
                break
            over.append(session_id)
        events = []
        for session_id in over:
            del self._published_at[session_id]
            session = self._pending.pop(session_id, None)
            if session is not None:
                self._published_at[session_id] = now
                events.append(_event(session))
        return events


def _event(session: SessionState) -> SessionActivity:
    return SessionActivity(
        session_id=session.id,
        users=list(session.users),
        last_seq=session.last_seq,
        updated_at=rfc3339(session.updated_at),
    )
