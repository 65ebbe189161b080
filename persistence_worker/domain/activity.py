"""Activity of sessions, for users who have not joined them: at most one notice a second a session. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from persistence_worker.domain.state import SessionState
from shared.contracts.events import SessionActivity

INTERVAL = 1.0  # seconds between two notices of one session


class Activity:
    """What has been told of each session lately, and what is still to be told.

    The first change is told at once, the latest one of each further second at its end.
    """

    def __init__(self) -> None:
        self._told_at: dict[UUID, float] = {}  # ascending: oldest first
        self._waiting: dict[UUID, SessionState] = {}  # as they were after their latest change

    def note(self, sessions: Iterable[SessionState], now: float) -> list[SessionActivity]:
        """Sessions that have just changed, at `now` (monotonic seconds); the notices that may go at once."""
        due = []
        for session in sessions:
            if session.deleted_at is not None:
                self._waiting.pop(session.id, None)
            elif session.id in self._told_at:
                self._waiting[session.id] = session
            else:
                self._told_at[session.id] = now
                due.append(_notice(session))
        return due

    def forget(self, session_ids: Iterable[UUID]) -> None:
        """What still waits of these was for members of whom some have gone; their next change is told at its time."""
        for session_id in session_ids:
            self._waiting.pop(session_id, None)

    def due(self, now: float) -> list[SessionActivity]:
        """The notices whose second is over; sessions that have been quiet for that long are forgotten."""
        over = []
        for session_id, told_at in self._told_at.items():
            if told_at > now - INTERVAL:
                break
            over.append(session_id)
        notices = []
        for session_id in over:
            del self._told_at[session_id]
            session = self._waiting.pop(session_id, None)
            if session is not None:
                self._told_at[session_id] = now
                notices.append(_notice(session))
        return notices


def _notice(session: SessionState) -> SessionActivity:
    return SessionActivity(
        session_id=session.id, users=session.users, last_seq=session.last_seq, updated_at=session.updated_at
    )
